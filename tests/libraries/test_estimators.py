"""Models of scikit-learn, XGBoost and LightGBM predict what they predicted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

LEARN = cases(
    "sklearn.pipeline sklearn.ensemble sklearn.compose sklearn.preprocessing",
    pipeline=(
        """
        import numpy
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
        rows = numpy.random.default_rng(0).normal(size=(500, 4))
        forest = RandomForestClassifier(20, random_state=0)
        model = Pipeline([("scale", StandardScaler()), ("forest", forest)])
        model.fit(rows, rows[:, 0] > 0)
        v = [model, forest, rows, model.predict_proba(rows)]
        """,
        """
        assert v[0].named_steps["forest"] is v[1]
        assert (v[0].predict_proba(v[2]) == v[3]).all()
        """,
    ),
    columns=(
        """
        import pandas
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
        table = pandas.DataFrame({"n": [1.0, 2], "k": ["a", "b"]})
        v = make_column_transformer(
            (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
            (FunctionTransformer(lambda column: column * 2), ["n"]),
        ).fit(table)
        """,
        """
        import pandas
        assert v.transform(pandas.DataFrame({"n": [3.0], "k": ["b"]})).tolist() == [[0, 1, 6]]
        """,
    ),
    search=(
        """
        import numpy
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV
        rows = numpy.arange(20.0).reshape(-1, 1)
        v = GridSearchCV(Ridge(), {"alpha": [0.1, 10]}, cv=2).fit(rows, rows[:, 0])
        """,
        "assert v.best_params_ == {'alpha': 0.1} and v.best_estimator_.coef_.shape == (1,)",
    ),
)

BOOSTING = cases(
    "xgboost sklearn.base",
    booster=(
        """
        import numpy, xgboost
        rows = numpy.arange(40.0).reshape(20, 2)
        data = xgboost.DMatrix(rows, label=rows[:, 0] > 20)
        booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 5)
        booster.set_attr(kept="yes")
        v = {"all": [booster], "best": booster, "rows": rows, "scores": booster.predict(data)}
        """,
        """
        import xgboost
        assert v["all"][0] is v["best"] and v["best"].attr("kept") == "yes"
        assert (v["best"].predict(xgboost.DMatrix(v["rows"])) == v["scores"]).all()
        """,
    ),
    classifier=(
        """
        import numpy, xgboost
        rows = numpy.arange(40.0).reshape(20, 2)
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0] > 20)
        v = [model, rows, model.predict(rows)]
        """,
        "assert (v[0].predict(v[1]) == v[2]).all() and v[0].get_params()['n_estimators'] == 3",
    ),
) | cases(
    "lightgbm",
    booster=(
        """
        import lightgbm, numpy
        rows = numpy.random.default_rng(0).normal(size=(100, 2))
        data = lightgbm.Dataset(rows, rows[:, 0])
        booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 5)
        v = {"all": [booster], "best": booster, "rows": rows, "scores": booster.predict(rows)}
        """,
        """
        assert v["all"][0] is v["best"] and v["best"].num_trees() == 5
        assert (v["best"].predict(v["rows"]) == v["scores"]).all()
        """,
    ),
    regressor=(
        """
        import lightgbm, numpy
        rows = numpy.random.default_rng(0).normal(size=(100, 2))
        model = lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(rows, rows[:, 0])
        v = [model, rows, model.predict(rows)]
        """,
        "assert (v[0].predict(v[1]) == v[2]).all() and v[0].n_features_ == 2",
    ),
)

CASES = LEARN | BOOSTING


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
