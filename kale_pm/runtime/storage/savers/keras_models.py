"""Savers for Keras: models, layers and optimizers as the objects that they are.

Keras itself writes an archive for each of them: what they share is lost then, and what is
not in their configuration.  Where Keras remembers an object by its address, the object takes
the place of the address in the stream.  The tensors of TensorFlow cannot be taken apart in
this way: its models travel as archives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kale_pm.runtime.storage import instances
from kale_pm.runtime.storage.savers.registry import Reduced, saver

# Each instance gets its own wrappers when it is made; functions are compiled when needed.
_MADE_ANEW = frozenset({"build", "quantize"})
_COMPILED = frozenset({"train_function", "test_function", "predict_function"})


@saver("keras.src.saving.keras_saveable.KerasSaveable")
def _save_object(obj: Any) -> Reduced:
    return _reduce(obj, {}, fill_object)


@saver("keras.src.optimizers.base_optimizer.BaseOptimizer")
def _save_optimizer(optimizer: Any) -> Reduced:
    variables = list(optimizer._trainable_variables)
    known = vars(optimizer).get("_exclude_from_weight_decay", ())
    excluded = [variable for variable in variables if optimizer._var_key(variable) in known]
    addresses = {
        "_trainable_variables_indices": variables,
        "_exclude_from_weight_decay": excluded,
        "_exclude_from_weight_decay_cache": [],
    }
    return _reduce(optimizer, addresses, fill_optimizer)


@saver("keras.src.ops.function.Function")
def _save_graph(graph: Any) -> Reduced:
    from keras.src.ops.function import make_node_key

    nodes = [
        (operation, index)
        for operation in graph._operations
        for index in range(len(operation._inbound_nodes))
        if make_node_key(operation, index) in graph._nodes
    ]
    return _reduce(graph, {"_nodes": nodes}, fill_graph)


@saver("keras.src.utils.tracking.Tracker")
def _save_tracker(tracker: Any) -> Reduced:
    stores = {name: list(store) for name, (_, store) in tracker.config.items()}
    return _reduce(tracker, {"stored_ids": stores}, fill_tracker)


@saver(
    "keras.src.utils.tracking.TrackedList",
    "keras.src.utils.tracking.TrackedDict",
    "keras.src.utils.tracking.TrackedSet",
)
def _save_tracked(container: Any) -> Reduced:
    """Past its own methods, which ask a tracker that is not there yet."""
    return instances.reduce(container)


def _reduce(obj: Any, addresses: dict[str, Any], fill: Callable[[Any, Any], None]) -> Reduced:
    import keras

    if keras.config.backend() == "tensorflow":
        return _reduce_archive(obj) if isinstance(obj, keras.Model) else NotImplemented
    state = {name: value for name, value in vars(obj).items() if name not in _MADE_ANEW}
    state.update(dict.fromkeys(state.keys() & _COMPILED))
    state.update((name, value) for name, value in addresses.items() if name in state)
    return make_object, (type(obj),), state, None, None, fill


def make_object(kind: Any) -> Any:
    return kind.__new__(kind)


def fill_object(obj: Any, state: dict[str, Any]) -> None:
    vars(obj).update(state)


def fill_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    vars(optimizer).update(state)
    variables = enumerate(state["_trainable_variables_indices"])
    indices = {optimizer._var_key(variable): index for index, variable in variables}
    optimizer._trainable_variables_indices = indices
    if "_exclude_from_weight_decay" in state:
        excluded = {optimizer._var_key(it) for it in state["_exclude_from_weight_decay"]}
        optimizer._exclude_from_weight_decay = excluded
        optimizer._exclude_from_weight_decay_cache = {}


def fill_graph(graph: Any, state: dict[str, Any]) -> None:
    from keras.src.ops.function import make_node_key

    nodes = {make_node_key(operation, index) for operation, index in state["_nodes"]}
    vars(graph).update({**state, "_nodes": nodes})


def fill_tracker(tracker: Any, state: dict[str, Any]) -> None:
    stored = {name: set(map(id, store)) for name, store in state["stored_ids"].items()}
    vars(tracker).update({**state, "stored_ids": stored})


@saver("keras.src.engine.training.Model")
def _reduce_archive(model: Any) -> Reduced:
    """The archive that Keras writes, without the time: it would make equal models differ."""
    import json
    import tempfile
    import zipfile
    from pathlib import Path

    layers = [model, *model._flatten_layers(include_self=False)]
    own_classes = {
        type(layer).__name__: type(layer)
        for layer in layers
        if type(layer).__module__ == "__main__"
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    return rebuild_archived_model, (members, own_classes)


def rebuild_archived_model(members: dict[str, bytes], own_classes: dict[str, type]) -> Any:
    import tempfile
    import zipfile
    from pathlib import Path

    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return keras.models.load_model(path, custom_objects=own_classes, safe_mode=False)
