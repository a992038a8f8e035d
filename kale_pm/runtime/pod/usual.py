"""What most bundles hold, for packing.py: what is most frequent stands last.

It belongs to the version: who packs and who unpacks must have the same.
"""

from __future__ import annotations

USUAL = (
    b'{"facts":{"diary":true,"packs":"packs","parameters":{"p_name":{"default":"","name":"name",'
    b'"type":"str"},"p_":{"default":1,"name":"","type":"bool"},"type":"float"},"type":"int"}},'
    b'"report":false,"secrets":[""],"timeout":3600,"users":{"":["step_"]}},"files":{".py":"'
    b"import numpy as np\\nimport pandas as pd\\nimport matplotlib.pyplot as plt\\n"
    b"from sklearn.model_selection import train_test_split\\nfrom pathlib import Path\\n"
    b"    def __init__(self):\\n        self.\\n    return \\n    for x in range(len():\\n"
    b'        if not in np.array(pd.DataFrame(\\nprint(f\\"{:.2f}\\")\\n'
    b'{"facts":{"diary":false,"packs":null,"parameters":{},"report":true,"secrets":[],'
    b'"timeout":null,"users":{}},"files":{},"notebook":{"cells":['
    b'{"cell_type":"code","execution_count":null,"id":"","metadata":{"kale_pm":{"cell":1,'
    b'"role":"prelude"},"tags":["imports"]},"outputs":[],"source":"import '
    b'"role":"parameters"},"tags":["parameters"]},"outputs":[],"source":"'
    b'"role":"prelude"},"tags":["functions"]},"outputs":[],"source":"def '
    b'{"cell_type":"markdown","id":"","metadata":{"kale_pm":{"role":"step"},"tags":[]},"source":"'
    b'"metadata":{"kale_pm":{"role":"load"},"tags":[]},"outputs":[],"source":"'
    b'import kale_pm.runtime\\n\\nkale_pm.runtime.load(\\"'
    b'\\", step=\\"\\", pipeline=\\"\\")"},'
    b'{"cell_type":"code","execution_count":null,"id":"","metadata":{"kale_pm":{"cell":2,'
    b'"role":"step"},"tags":["step:","prev:'
    b'"]},"outputs":[],"source":"'
    b'"},{"cell_type":"code","execution_count":null,"id":"","metadata":{"kale_pm":{"cell":3,'
    b'"role":"step"},"tags":[]},"outputs":[],"source":"'
    b'"},{"cell_type":"code","execution_count":null,"id":"","metadata":{"kale_pm":{'
    b'"role":"save"},"tags":[]},"outputs":[],"source":"kale_pm.runtime.save(\\"'
    b'\\")"}],"metadata":{"kale_pm":{"order":1,"pipeline":"","step":""},"kernelspec":{'
    b'"display_name":"Python 3 (ipykernel)","language":"python","name":"python3"}},"nbformat":4,'
    b'"nbformat_minor":5}}'
)
