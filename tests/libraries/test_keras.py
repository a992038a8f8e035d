"""Models and layers of Keras go on as they were, trained or in training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

CASES = cases(
    "keras torch",
    model_in_a_dictionary_in_a_dataclass=(
        """
        import dataclasses, keras, numpy
        @dataclasses.dataclass
        class Trial:
            models: dict
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        rows = numpy.ones((4, 3), "f4")
        v = [Trial({"net": model}), model, rows, model.predict(rows, verbose=0)]
        """,
        """
        import keras
        assert v[0].models["net"] is v[1] and type(v[1]) is keras.Sequential
        assert (v[1].predict(v[2], verbose=0) == v[3]).all()
        """,
    ),
    compiled_model_with_its_optimizer=(
        """
        import keras, numpy
        v = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        v.compile(keras.optimizers.Adam(0.5), loss="mse", metrics=["mae"])
        v.fit(numpy.ones((8, 3)), numpy.ones(8), epochs=2, verbose=0)
        """,
        """
        import numpy
        assert v.compiled and float(v.optimizer.learning_rate.numpy()) == 0.5
        steps = int(v.optimizer.iterations.numpy())
        assert steps == 2 and any(float(abs(w.numpy()).sum()) for w in v.optimizer.variables[2:])
        v.fit(numpy.ones((8, 3)), numpy.ones(8), verbose=0)
        assert int(v.optimizer.iterations.numpy()) == 3
        """,
    ),
    layer_alone=(
        """
        import keras, numpy
        layer = keras.layers.Dense(2)
        rows = numpy.ones((1, 3), "f4")
        v = [layer, rows, layer(rows).detach().numpy()]
        """,
        """
        import keras
        assert type(v[0]) is keras.layers.Dense
        assert (v[0](v[1]).detach().numpy() == v[2]).all()
        """,
    ),
    layer_of_a_model=(
        """
        import keras
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        v = [model.layers[0], model]
        """,
        """
        import numpy
        v[0].set_weights([numpy.zeros((3, 2)), numpy.ones(2)])
        assert v[1].predict(numpy.ones((1, 3)), verbose=0).tolist() == [[1, 1]]
        """,
    ),
    layer_class_of_the_notebook=(
        """
        import keras, numpy
        class Scale(keras.layers.Layer):
            def __init__(self, factor=2, **rest):
                super().__init__(**rest)
                self.factor = factor
            def build(self, shape):
                self.offset = self.add_weight(shape=(1,), initializer="ones", name="offset")
            def call(self, rows): return rows * self.factor + self.offset
            def get_config(self): return {**super().get_config(), "factor": self.factor}
        v = keras.Sequential([keras.layers.Input((3,)), Scale(5)])
        """,
        """
        import numpy
        assert v.predict(numpy.ones((1, 3)), verbose=0).tolist() == [[6, 6, 6]]
        """,
    ),
    model_class_of_the_notebook=(
        """
        import keras, numpy
        class Net(keras.Model):
            def __init__(self, units):
                super().__init__()
                self.dense = keras.layers.Dense(units)
                self.seen = []
            def call(self, rows): return self.dense(rows)
        v = Net(2)
        v.seen.append("rows")
        expected = v(numpy.ones((1, 3), "f4")).detach().numpy()
        v = [v, expected]
        """,
        """
        import numpy
        assert v[0].seen == ["rows"]
        assert (v[0](numpy.ones((1, 3), "f4")).detach().numpy() == v[1]).all()
        """,
    ),
    functional_model_that_is_saved_and_cloned=(
        """
        import keras
        first = keras.Input((3,), name="first")
        shared = keras.layers.Dense(3, name="shared")
        output = keras.layers.Add()([shared(first), shared(shared(first))])
        v = keras.Model(first, keras.layers.Dropout(0.5)(output))
        """,
        """
        import keras, numpy
        rows = numpy.ones((2, 3), "f4")
        v.save("again.keras")
        for again in (keras.models.load_model("again.keras"), keras.models.clone_model(v)):
            again.set_weights(v.get_weights())
            assert (again.predict(rows, verbose=0) == v.predict(rows, verbose=0)).all()
        assert keras.Model(v.inputs, v.layers[-2].output).predict(rows, verbose=0).shape == (2, 3)
        """,
    ),
    attributes_that_are_set_later=(
        """
        import keras
        v = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        v.notes = ["first"]
        """,
        """
        import keras
        v.notes.append("second")
        v.add(keras.layers.Dense(5))
        assert v.notes == ["first", "second"] and v.output_shape == (None, 5)
        assert len(v.weights) == 4 and len(v.trainable_variables) == 4
        """,
    ),
    training_goes_on=(
        """
        import keras, numpy
        stop = keras.callbacks.EarlyStopping(patience=2)
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(numpy.ones((8, 3)), numpy.ones(8), validation_split=0.5, verbose=0,
                            callbacks=[stop])
        v = {"history": history, "model": model}
        """,
        """
        assert len(v["history"].history["loss"]) == 1 and v["history"].model is v["model"]
        """,
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)


def test_models_of_tensorflow_travel_as_archives(steps: Callable) -> None:
    pipeline = steps("import keras; keras.config.backend = lambda: 'tensorflow'", "keras torch")
    pipeline.hand_over(
        """
        import numpy
        class Twice(keras.layers.Layer):
            def call(self, rows): return rows * 2
        model = keras.Sequential([keras.layers.Input((3,)), Twice(), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        rows = numpy.ones((4, 3), "f4")
        v = {"models": [model], "rows": rows, "scores": model.predict(rows, verbose=0)}
        """,
        """
        model = v["models"][0]
        assert (model.predict(v["rows"], verbose=0) == v["scores"]).all() and model.compiled
        """,
    )
