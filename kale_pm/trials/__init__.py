"""What the trials of a sweep gave: a table of them, the best one, pictures, and a page.

A trial is a row: its parameters, its metrics, its state.  Where the rows come from does not
matter: the local sweep makes them of run folders, the last step of a sweep on KFP of the metrics
that it collects.  There this part travels into the pod, so it needs the standard library and the
nouns at the bottom of kale_pm only.
"""
