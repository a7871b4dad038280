"""The block code of the pipelines that fail. `# HERE` marks the line at which a block gives up."""

from textwrap import dedent


def _block(decorator: str, body: str, imports: str = "") -> str:
    before = dedent(imports).strip("\n")
    guard = f"if '{decorator}' not in globals():\n    from mage_ai.data_preparation.decorators import {decorator}\n"
    return (before + "\n" if before else "") + guard + "\n\n" + dedent(body).strip() + "\n"


def _loads(body: str, imports: str = "") -> str:
    head = "@data_loader\ndef load_data(*args, **kwargs):\n"
    return _block("data_loader", head + _indented(body), imports)


def _transforms(body: str, imports: str = "", argument: str = "rows") -> str:
    head = f"@transformer\ndef transform({argument}, *args, **kwargs):\n"
    return _block("transformer", head + _indented(body), imports)


def _indented(body: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in dedent(body).strip("\n").split("\n"))


_TESTS = "if 'test' not in globals():\n    from mage_ai.data_preparation.decorators import test"

_SLEEPS = _loads(
    """
    for i in range(600):
        print('still here', i)
        time.sleep(0.5)
    return 1
    """,
    "import time",
)

_DYNAMIC_PART = _transforms(
    """
    if item['n'] == 2:
        raise ValueError(f'cannot handle item {item}')  # HERE
    return item
    """,
    argument="item",
)

_SOURCE = """\
source: github
config:
  access_token: not-a-real-token
  repository: acme/widgets
  start_date: '2026-01-01T00:00:00Z'
"""

SOURCES = {
    "feed_rows": _loads("return [{'id': 1, 'price': '3.5'}, {'id': 2, 'price': 'n/a'}]"),
    "store_rows": _block(
        "data_exporter",
        """
        @data_exporter
        def export_data(rows, *args, **kwargs):
            print('stored', rows)
        """,
    ),
    "raise_error": _block(
        "transformer",
        """
        LIMIT = 1


        @transformer
        def transform(rows, *args, **kwargs):
            print('rows', len(rows))
            if len(rows) > LIMIT:
                raise ValueError(f'{len(rows)} rows, at most {LIMIT} allowed')  # HERE
            return rows
        """,
    ),
    "key_error": _transforms("return [r['amount'] for r in rows]  # HERE"),
    "chained_error": _block(
        "transformer",
        """
        def parse(row):
            return float(row['price'])


        @transformer
        def transform(rows, *args, **kwargs):
            try:
                return [parse(r) for r in rows]
            except ValueError as err:
                raise RuntimeError('could not parse the prices') from err  # HERE
        """,
    ),
    "chained_implicit": _transforms(
        """
        try:
            return [float(r['price']) for r in rows]
        except ValueError:
            return [r['fallback_price'] for r in rows]  # HERE
        """
    ),
    "use_helper": _transforms("return [rate(r) for r in rows]", "from {project}.utils.failure_rates import rate"),
    "library_frame": _block(
        "transformer",
        """
        def amounts(df):
            return df['amount']  # HERE


        @transformer
        def transform(rows, *args, **kwargs):
            return amounts(pd.DataFrame(rows)).sum()
        """,
        "import pandas as pd",
    ),
    "bad_syntax": _transforms("good = [r for r in rows if r['id'] > 0  # HERE\nreturn good"),
    "missing_module": _transforms("return no_such_package_here.tidy(rows)", "import no_such_package_here  # HERE"),
    "failing_test": _block(
        "transformer",
        """
        @transformer
        def transform(rows, *args, **kwargs):
            return {'n': len(rows)}


        @test
        def test_is_there(output, *args) -> None:
            assert output is not None, 'The output is undefined'


        @test
        def test_enough_rows(output, *args) -> None:
            assert output['n'] >= 5, f"expected at least 5 rows, got {output['n']}"  # HERE
        """,
        _TESTS,
    ),
    "raising_test": _block(
        "transformer",
        """
        @transformer
        def transform(rows, *args, **kwargs):
            return {'n': len(rows)}


        @test
        def test_output(output, *args) -> None:
            assert output['rows'] >= 5  # HERE
        """,
        _TESTS,
    ),
    "dynamic_feed": _loads(
        """
        items = [{'n': 1}, {'n': 2}, {'n': 3}]
        return [items, [{'block_uuid': name} for name in ('one', 'two', 'three')]]
        """
    ),
    "dynamic_feed_plain": _loads("return [[{'n': 1}, {'n': 2}, {'n': 3}]]"),
    "dynamic_feed_failing": _loads("raise ValueError('nothing to feed')  # HERE"),
    "dynamic_part": _DYNAMIC_PART,
    "dynamic_part_plain": _DYNAMIC_PART,
    "sub/nested_one": _loads(
        "raise FileNotFoundError(2, 'No such file or directory', 'input/orders.csv')  # HERE",
    ),
    "sleep_long": _SLEEPS,
    "sleep_long_limited": _SLEEPS,
    "broken_source": "connector_type: no_such_connector\n",
    "dummy_sink": "connector_type: dummy\nprint_msg: true\n",
    "failing_sync_source": _SOURCE,
    "failing_sync_source_catalog": _SOURCE
    + """\
catalog:
  streams:
  - tap_stream_id: issues
    stream: issues
    destination_table: issues
    replication_method: FULL_TABLE
    schema:
      type: object
      properties:
        id: {type: [integer]}
    metadata: []
""",
    "failing_sync_destination": """\
destination: postgresql
config:
  database: demo
  host: 127.0.0.1
  port: 5432
  schema: public
  table: issues
  username: demo
  password: not-a-real-password
""",
    "pass_on_retry": _transforms(
        """
        marker = os.path.join(os.environ.get('TMPDIR', '/tmp'),
                              'pass_on_retry_%s' % kwargs.get('pipeline_run_id'))
        if not os.path.exists(marker):
            open(marker, 'w').close()
            raise ConnectionError('first attempt fails on purpose')  # HERE
        return rows
        """,
        "import os",
    ),
    "fail_on_retry": _transforms(
        """
        marker = os.path.join(os.environ.get('TMPDIR', '/tmp'),
                              'fail_on_retry_%s' % kwargs.get('pipeline_run_id'))
        if not os.path.exists(marker):
            open(marker, 'w').close()
            raise ConnectionError('the first attempt fails')
        raise TimeoutError('the second attempt fails too')  # HERE
        """,
        "import os",
    ),
    "branch_left": _transforms("raise ValueError('left branch gives up')  # HERE"),
    "branch_right": _transforms("raise TypeError('right branch gives up')  # HERE"),
    "branch_slow": _transforms("for i in range(16):\n    time.sleep(0.5)\nreturn rows", "import time"),
    "query_orders": "SELECT id, price\nFROM orders_that_are_not_there\n",
    "query_orders_duckdb": "SELECT id, price\nFROM orders_that_are_not_there\n",
    "guarded_step": _transforms("return rows"),
    "guarded_step_raising": _transforms("return rows"),
    "never_true": _block(
        "condition",
        """
        @condition
        def evaluate_condition(rows, *args, **kwargs) -> bool:
            return len(rows) > 100
        """,
    ),
    "raising_condition": _block(
        "condition",
        """
        @condition
        def evaluate_condition(rows, *args, **kwargs) -> bool:
            return rows[7]['id'] > 0  # HERE
        """,
    ),
    "sys_exits": _transforms("print('leaving')\nsys.exit(1)  # HERE", "import sys"),
    "os_exits": _transforms("print('leaving at once')\nos._exit(1)  # HERE", "import os"),
    "kills_itself": _transforms(
        "print('as if out of memory')\nos.kill(os.getpid(), signal.SIGKILL)  # HERE", "import os\nimport signal"
    ),
    "unserialisable": _transforms("return {'rows': rows, 'lock': threading.Lock()}", "import threading"),
    "many_lines": _transforms(
        """
        for i in range(30000):
            print(f'line {i} of many')
        raise ValueError('gave up after 30000 lines')  # HERE
        """
    ),
    "secret_message": _transforms(
        """
        url = 'postgresql://user:s3cret@host/db'
        raise ConnectionError(f'\\x1b[1;31mcannot reach\\x1b[0m {url}, tried twice')  # HERE
        """
    ),
    "callback_parent": _transforms("raise ValueError('the block itself gives up')  # HERE"),
    "callback_parent_fine": _transforms("return rows"),
    "raising_failure_callback": _block(
        "callback",
        """
        @callback('failure')
        def on_failure(parent_block_data, **kwargs):
            print('told of', repr(kwargs.get('__error')))
            raise LookupError('the failure callback gives up')  # HERE
        """,
    ),
    "raising_success_callback": _block(
        "callback",
        """
        @callback('success')
        def on_success(parent_block_data, **kwargs):
            raise LookupError('the success callback gives up')  # HERE
        """,
    ),
    "empty_message": _transforms("raise RuntimeError()  # HERE"),
    "multiline_message": _block(
        "transformer",
        """
        class InvoiceError(Exception):
            pass


        @transformer
        def transform(rows, *args, **kwargs):
            raise InvoiceError('2 invoices are bad:\\n  row 1: price is empty\\nTotal: 2')  # HERE
        """,
    ),
    "noted_error": _transforms(
        """
        err = ValueError('price is empty')
        err.add_note('seen in row 2')
        raise err  # HERE
        """
    ),
    "group_error": _transforms(
        """
        errors = []
        for row in rows:
            try:
                int(row['price'])
            except ValueError as err:
                errors.append(err)
        raise ExceptionGroup('bad rows', errors)  # HERE
        """
    ),
    "generated_frame": _block(
        "transformer",
        """
        @dataclass
        class Price:
            text: str
            value: float = field(default_factory=partial(float, 'n/a'))


        @transformer
        def transform(rows, *args, **kwargs):
            return [Price(r['price']) for r in rows]  # HERE
        """,
        "from dataclasses import dataclass, field\nfrom functools import partial",
    ),
    "no_function": "def transform(rows, *args, **kwargs):\n    return rows\n",
    "file_is_gone": "",
}

RATES = '''\
def rate(row):
    """Price per piece; no piece, no price."""
    pieces = row['id'] - 1
    return float(row['price']) / pieces  # HERE
'''
