"""What the analysis knows of other people's code: names of calls, and what they do.

The tables only sharpen the static picture.  Where a call is unknown, its arguments count as
possibly changed, and the run decides by comparing them before and after.
"""

from __future__ import annotations

import sys


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Methods that change their object in place.
MUTATING_METHODS = _words(
    """
    append extend insert remove pop popitem clear sort reverse update setdefault add discard
    appendleft extendleft popleft rotate subtract move_to_end register
    intersection_update difference_update symmetric_difference_update
    fit partial_fit fit_transform fit_predict fit_resample set_params warm_start
    load_state_dict step zero_grad zero_ backward train eval requires_grad_ compile add_module
    write writelines seek truncate read readline readlines send fill put itemset resize setflags
    set_index_names insert_one put_nowait get_nowait shuffle set set_default
    """
)

# Methods that leave their object and their arguments alone.
PURE_METHODS = _words(
    """
    agg aggregate all any apply argmax argmin argsort astype bfill capitalize casefold center clip
    columns copy corr count cov cumprod cumsum decision_function decode describe diff dot drop
    drop_duplicates dropna duplicated encode endswith eq equals expanduser exists explode fillna
    ffill find flatten format get get_params groupby gt head idxmax idxmin iloc index
    info is_dir is_file isin isna isnull isoformat item items iterrows itertuples join keys loc
    lower lstrip lt map mask max mean median melt memory_usage merge min mode nlargest notna
    notnull nsmallest nunique pct_change pivot pivot_table predict predict_log_proba
    predict_proba quantile query rank ravel reindex rename replace resample reset_index reshape
    rfind rjust ljust rolling round rsplit rstrip score select_dtypes set_index shift
    sort_index sort_values split splitlines stack startswith std strftime strip style sum swapcase
    tail title to_csv to_dict to_excel to_frame to_html to_json to_list to_markdown to_numpy
    to_parquet to_pickle to_string to_timestamp tobytes tolist transform transpose trace union
    intersection difference unique unstack upper value_counts values var where xs zfill
    """
)

# Of those, what makes its object a container for others: handed over, it will be called.
CONTAINER_METHODS = _words(
    "append extend insert remove pop clear update setdefault add discard appendleft register"
)
FILLING_METHODS = CONTAINER_METHODS | _words("put write writelines send")
# Arguments that a call fills, whatever it leaves alone otherwise.
FILLED_ARGUMENTS = _words(
    "out file buf fp stream handle ax axes cax fig path_or_buf random_state rng generator"
)
FILLING_CALLS = _words(
    """
    dump to_csv to_json to_string to_html to_markdown to_excel to_parquet to_pickle to_feather
    to_sql save savez savetxt savefig at pprint tofile
    """
)

# Methods whose result shares nothing with the object they are called on.
FRESH_METHODS = _words(
    """
    all any argmax argmin count decode encode endswith exists find format idxmax idxmin index
    is_dir is_file isoformat join lower lstrip max mean median min nunique predict predict_proba
    replace rfind round rstrip score split splitlines startswith std strftime strip sum title
    tobytes tolist to_csv to_html to_json to_markdown to_string upper var
    """
)

# Builtins that change nothing; the second set gives a plain, immutable result.
PURE_BUILTINS = _words(
    """
    abs all any ascii bin bool bytes callable chr complex dict dir divmod enumerate filter float
    format frozenset hash hex id int isinstance issubclass iter len list map max min oct ord pow
    print range repr reversed round set slice sorted str sum super tuple type zip getattr hasattr
    object memoryview bytearray display
    """
)
PLAIN_BUILTINS = _words(
    """
    all any ascii bin bool bytes callable chr complex dir divmod float format hash hex id int
    isinstance issubclass len oct ord print range repr round str hasattr display
    """
)

# Whole modules whose functions leave their arguments alone, but for the exceptions below.
PURE_MODULES = (
    "math", "cmath", "statistics", "json", "re", "string", "textwrap", "pprint", "itertools",
    "time", "datetime", "calendar", "os.path", "pathlib", "operator", "collections", "dataclasses",
    "typing", "hashlib", "base64", "urllib.parse", "decimal", "fractions", "numpy", "pandas",
    "scipy.stats", "sklearn.metrics", "sklearn.model_selection", "sklearn.datasets", "IPython",
    "copy", "logging", "warnings", "matplotlib", "seaborn", "plotly",
)  # fmt: skip
MUTATING_FUNCTIONS = _words(
    """
    random.shuffle numpy.random.shuffle numpy.put numpy.copyto numpy.fill_diagonal numpy.place
    numpy.putmask heapq.heappush heapq.heappop heapq.heapify heapq.heapreplace heapq.heappushpop
    bisect.insort bisect.insort_left bisect.insort_right builtins.next builtins.setattr
    builtins.delattr operator.setitem operator.delitem operator.iadd operator.iconcat
    """
)

# What these make may change by being looked at.
RESTLESS_CALLS = frozenset(
    f"builtins.{name}" for name in ("iter", "map", "filter", "zip", "enumerate", "reversed", "open")
) | {
    "collections.defaultdict",
    "itertools.count",
    "itertools.cycle",
    "itertools.chain",
    "csv.reader",
}

# What these get they only keep, to call it later.
KEEPING_CALLS = frozenset(
    f"builtins.{name}" for name in ("dict", "enumerate", "frozenset", "list", "set", "tuple", "zip")
) | {"collections.defaultdict", "functools.partial"}

# Calls that change global state of the process; a trailing dot matches all below.
GLOBAL_STATE_CALLS = (
    "random.seed", "random.setstate", "numpy.random.seed", "numpy.random.set_state",
    "numpy.set_printoptions", "numpy.seterr", "sklearn.set_config",
    "warnings.filterwarnings", "warnings.simplefilter", "warnings.resetwarnings",
    "os.chdir", "os.putenv", "os.unsetenv", "os.umask", "os.environ.", "sys.path.",
    "sys.setrecursionlimit", "sys.set_int_max_str_digits", "locale.setlocale", "time.tzset",
    "logging.basicConfig", "logging.disable", "logging.root.setLevel",
    "pandas.set_option", "pandas.reset_option", "pandas.options.",
    "matplotlib.rc", "matplotlib.use", "matplotlib.rcParams.", "matplotlib.style.use",
    "matplotlib.pyplot.rc", "matplotlib.pyplot.rcParams.", "matplotlib.pyplot.style.use",
    "matplotlib.pyplot.rcdefaults", "matplotlib.rcdefaults",
    "seaborn.set", "seaborn.set_theme", "seaborn.set_style", "seaborn.set_context",
    "seaborn.set_palette",
    "torch.manual_seed", "torch.set_default_dtype", "torch.use_deterministic_algorithms",
    "torch.set_num_threads", "torch.set_grad_enabled", "torch.cuda.manual_seed",
    "tensorflow.random.set_seed", "keras.utils.set_random_seed",
    "decimal.setcontext", "socket.setdefaulttimeout", "csv.register_dialect",
    "csv.unregister_dialect", "calendar.setfirstweekday",
)  # fmt: skip

# What is changed inside of these is taken back at the end.
RESTORING_CONTEXTS = frozenset(
    {
        "warnings.catch_warnings", "numpy.errstate", "numpy.printoptions", "pandas.option_context",
        "matplotlib.rc_context", "matplotlib.pyplot.rc_context", "decimal.localcontext",
        "sklearn.config_context", "torch.random.fork_rng",
    }
)  # fmt: skip

# Calls that leave something in a library, which nobody carries on; a trailing dot as above.
STAYING_CALLS = (
    "pandas.api.extensions.register_extension_dtype",
    "pandas.plotting.register_matplotlib_converters",
    "tqdm.pandas", "tqdm.tqdm.pandas", "tqdm.auto.tqdm.pandas", "tqdm.notebook.tqdm.pandas",
    "matplotlib.colormaps.register", "matplotlib.pyplot.register_cmap",
    "matplotlib.font_manager.fontManager.addfont", "matplotlib.units.registry.",
    "atexit.register", "codecs.register",
    "signal.signal", "copyreg.pickle", "mimetypes.add_type", "faulthandler.enable",
    "sys.settrace", "sys.setprofile", "importlib.reload", "unittest.mock.patch",
)  # fmt: skip
# Methods that do the same with whatever they are called on.
STAYING_METHODS = frozenset({"addHandler", "addFilter", "register_magic_function"})

# Attributes and items whose assignment changes global state.
GLOBAL_STATE_TARGETS = (
    "os.environ", "sys.path", "matplotlib.rcParams", "matplotlib.pyplot.rcParams",
    "pandas.options", "decimal.getcontext", "torch.backends",
)  # fmt: skip

# What these give cannot leave its process.
UNSERIALISABLE_CALLS = {
    "builtins.open": "an open file",
    "io.open": "an open file",
    "os.fdopen": "an open file",
    "gzip.open": "an open file",
    "bz2.open": "an open file",
    "tempfile.NamedTemporaryFile": "an open file",
    "tempfile.TemporaryFile": "an open file",
    "threading.local": "thread-local data",
    "threading.Thread": "a thread",
    "socket.socket": "a socket",
    "socket.create_connection": "a connection",
    "sqlite3.connect": "a database connection",
    "psycopg2.connect": "a database connection",
    "pymysql.connect": "a database connection",
    "duckdb.connect": "a database connection",
    "sqlalchemy.create_engine": "a database engine",
    "concurrent.futures.ThreadPoolExecutor": "a thread pool",
    "concurrent.futures.ProcessPoolExecutor": "a process pool",
    "multiprocessing.Pool": "a process pool",
    "multiprocessing.pool.ThreadPool": "a thread pool",
    "subprocess.Popen": "a process handle",
    "tempfile.TemporaryDirectory": "a folder that is deleted when its step ends",
    "asyncio.create_task": "a task",
    "asyncio.ensure_future": "a task",
    "contextvars.ContextVar": "a context variable",
    "re.match": "a match of a regular expression",
    "re.search": "a match of a regular expression",
    "re.fullmatch": "a match of a regular expression",
    "hashlib.md5": "a hash under construction",
    "hashlib.sha1": "a hash under construction",
    "hashlib.sha256": "a hash under construction",
    "hashlib.new": "a hash under construction",
    "csv.reader": "a reader of an open file",
    "csv.writer": "a writer to an open file",
    "weakref.ref": "a weak reference",
    "weakref.WeakValueDictionary": "a dictionary of weak references",
    "tensorflow.compat.v1.Session": "a session",
    "pyspark.sql.SparkSession.builder.getOrCreate": "a Spark session",
}

# Names that every notebook namespace has; of these, what a notebook may bind for its own use.
BINDABLE_NAMES = _words("_ __ ___ display exit quit")
AMBIENT_NAMES = _words(
    """
    __name__ __doc__ __file__ __builtins__ __builtin__ __loader__ __package__ __spec__
    __debug__ __annotations__ _ __ ___ _i _ii _iii _ih _oh _dh In Out get_ipython exit quit
    display __session__ _exit_code
    """
)

# Magics whose text is Python that runs in the notebook's namespace.
CODE_MAGICS = frozenset({"time", "capture", "prun", "memit", "mprun", "lprun", "snakeviz"})
COPY_MAGICS = frozenset({"timeit"})
GLOBAL_STATE_MAGICS = frozenset({"env", "set_env", "cd", "pushd", "popd", "precision"})
STAYING_MAGICS = frozenset({"load_ext", "reload_ext", "alias", "rehashx"})

# Magics whose words are no variables.
WORDLESS_MAGICS = frozenset({"psearch", "matplotlib", "pip", "conda"})

# What of ``get_ipython()`` reads and writes variables by names that may stand nowhere.
SHELL_NAMESPACE = frozenset({"user_ns", "user_global_ns", "run_cell", "push", "ex", "ev"})


# Where names such as ``get`` and ``score`` mean what PURE_METHODS says.
FAMILIAR_PACKAGES = sys.stdlib_module_names | _words(
    """
    numpy pandas scipy sklearn matplotlib seaborn plotly torch torchvision tensorflow keras xgboost
    lightgbm catboost statsmodels polars pyarrow dask xarray networkx PIL cv2 skimage joblib
    requests bs4 yaml tqdm IPython transformers datasets nltk spacy gensim optuna sqlalchemy
    """
)


def matches(dotted: str, patterns: tuple[str, ...]) -> bool:
    """Is ``dotted`` one of ``patterns``?  A pattern with a trailing dot covers all below it."""
    return any(
        dotted == pattern or (pattern.endswith(".") and dotted.startswith(pattern))
        for pattern in patterns
    )


def is_familiar(dotted: str | None) -> bool:
    """Is ``dotted`` of a package that the tables were made for, or not of a package at all?"""
    return dotted is None or dotted.partition(".")[0] in FAMILIAR_PACKAGES


def is_pure(dotted: str) -> bool:
    """Does the library function ``dotted`` leave its arguments alone, as far as is known?"""
    if dotted in MUTATING_FUNCTIONS:
        return False
    return any(dotted == module or dotted.startswith(module + ".") for module in PURE_MODULES)
