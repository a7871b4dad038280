"""The code of the demo project's blocks, as it stands in a Mage project's files.

It is real block code: on a real Mage these blocks do what the simulated one scripts, so that both can hold the same
project.
"""

from textwrap import dedent

from mage_mcp.demo.planted import PLANTED


def _block(decorator: str, body: str, imports: str = "") -> str:
    """One block file: imports, Mage's usual guarded import of the decorator, then the block."""
    guard = f"if '{decorator}' not in globals():\n    from mage_ai.data_preparation.decorators import {decorator}\n"
    return dedent(imports).strip() + ("\n" if imports else "") + guard + "\n\n" + dedent(body).strip() + "\n"


def _returns(value: str, imports: str = "") -> str:
    """A loader that needs nothing but its return value."""
    return _block("data_loader", f"@data_loader\ndef load_data(*args, **kwargs):\n    return {value}", imports)


def _prints(argument: str, printed: str) -> str:
    """An exporter that only says what it got."""
    return _block(
        "data_exporter", f"@data_exporter\ndef export_data({argument}, *args, **kwargs):\n    print({printed})"
    )


LOAD_ORDERS = _block(
    "data_loader",
    """
    @data_loader
    def load_data(*args, **kwargs):
        region = kwargs.get('region', 'none')
        count = int(kwargs.get('row_count', 3))
        print(f'loading {count} orders of region {region}')
        kwargs['logger'].info(f'orders come from region {region}')
        return pd.DataFrame({
            'order_id': list(range(1, count + 1)),
            'region': [region] * count,
            'amount': [round(10.5 * number, 2) for number in range(1, count + 1)],
        })


    @test
    def test_output(output, *args) -> None:
        assert output is not None, 'The output is undefined'
    """,
    """
    import pandas as pd
    if 'test' not in globals():
        from mage_ai.data_preparation.decorators import test
    """,
)

ADD_TAX = _block(
    "transformer",
    """
    @transformer
    def transform(orders, *args, **kwargs):
        orders['tax'] = (orders['amount'] * 0.2).round(2)
        print(f'added tax to {len(orders)} orders')
        return orders
    """,
)

EXPORT_ORDERS = _block(
    "data_exporter",
    """
    SHOWN = ('region', 'row_count', 'env', 'trigger_name', 'from_trigger', 'from_run')


    @data_exporter
    def export_data(orders, *args, **kwargs):
        print('exported with', {name: str(kwargs[name]) for name in SHOWN if name in kwargs})
        orders.to_csv(os.path.join(tempfile.gettempdir(), 'sales_daily_orders.csv'), index=False)
    """,
    """
    import os
    import tempfile
    """,
)

LOAD_NUMBERS = _block(
    "data_loader",
    """
    @data_loader
    def load_data(*args, **kwargs):
        return [
            {'order_id': 1, 'profit': 4.0, 'revenue': 10.0},
            {'order_id': 2, 'profit': 3.0, 'revenue': 0.0},
        ]
    """,
)

DIVIDE_MARGINS = _block(
    "transformer",
    """
    def margin(row):
        return row['profit'] / row['revenue']


    @transformer
    def transform(rows, *args, **kwargs):
        print(f'dividing margins of {len(rows)} orders')
        margins = {}
        for row in rows:
            try:
                margins[row['order_id']] = margin(row)
            except ZeroDivisionError as error:
                raise ValueError(f"order {row['order_id']} has no revenue") from error
        return margins
    """,
)

EXPORT_MARGINS = _prints("margins", "'margins', margins")

SLEEP_A_WHILE = _block(
    "data_loader",
    """
    @data_loader
    def load_data(*args, **kwargs):
        seconds = float(kwargs.get('sleep_seconds', 20))
        print(f'sleeping {seconds} s')
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
        return {'slept': seconds}
    """,
    "import time",
)

AFTER_SLEEP = _prints("report", "'awake again'")

LOAD_ONE = _returns("1")

FAIL_ONCE = _block(
    "transformer",
    '''
    @transformer
    def transform(number, *args, **kwargs):
        """Fail on the first attempt of each run, pass on the next."""
        partition = str(kwargs.get('execution_partition')).replace('/', '_')
        marker = os.path.join(tempfile.gettempdir(), f"fail_once_{kwargs.get('pipeline_run_id')}_{partition}")
        if not os.path.exists(marker):
            open(marker, 'w').close()
            raise RuntimeError('the import source was not ready')
        return number + 1
    ''',
    """
    import os
    import tempfile
    """,
)

EXPORT_ONE = _prints("number", "'imported', number")

LOAD_SMALL = _returns("[1, 2, 3]")

LEAVE_EARLY = _block(
    "transformer",
    """
    @transformer
    def transform(numbers, *args, **kwargs):
        print('leaving early')
        sys.exit(1)
    """,
    "import sys",
)

LOAD_CUSTOMERS = _returns(
    "pd.DataFrame({'customer_id': [1, 2, 3], 'name': ['  Ada Lovelace', 'Grace Hopper ', 'Radia Perlman']})",
    "import pandas as pd",
)

LOAD_EVENTS = _returns(
    "pd.DataFrame({'customer_id': [1, 1, 2], 'kind': ['visit', 'order', 'visit']})", "import pandas as pd"
)

CLEAN_USERS = _block(
    "transformer",
    """
    @transformer
    def transform(customers, *args, **kwargs):
        customers['name'] = customers['name'].str.strip()
        return customers
    """,
)

COUNT_EVENTS = _block(
    "transformer",
    """
    @transformer
    def transform(events, *args, **kwargs):
        return events.groupby('customer_id').size().reset_index(name='events')
    """,
)

JOIN_PROFILES = _block(
    "transformer",
    """
    @transformer
    def transform(customers, counts, *args, **kwargs):
        profiles = customers.merge(counts, on='customer_id', how='left')
        profiles['events'] = profiles['events'].fillna(0).astype(int)
        print(f'joined {len(profiles)} profiles')
        return profiles
    """,
)

EXPORT_PROFILES = _prints("profiles", "f'exported {len(profiles)} profiles'")

READ_ORDERS = _block(
    "data_loader",
    """
    @data_loader
    def load_data(*args, **kwargs):
        raise FileNotFoundError(2, 'No such file or directory', 'input/orders.csv')
    """,
)

STORE_ORDERS = _prints("orders", "'stored', len(orders)")

LOAD_ACCOUNTS = _returns("[{'account': 'acme'}]")

SYNC_ACCOUNTS = _block(
    "transformer",
    rf"""
    DATABASE = 'postgresql://etl:{PLANTED["password in an error text"]}@db.internal/sales'


    @transformer
    def transform(accounts, *args, **kwargs):
        raise ConnectionError(f'\033[31mcould not connect to {{DATABASE}}\033[0m')
    """,
)

LOAD_SUMMARY = _returns("{'rows': 0}")

PUBLISH_SUMMARY = _prints("summary", "'published', summary")

ARCHIVE_SUMMARY = _prints("summary", "'archived', summary")

HAS_ROWS = _block(
    "condition",
    """
    @condition
    def evaluate_condition(summary, *args, **kwargs) -> bool:
        return summary['rows'] > 0
    """,
)

MAKE_REPORT = _returns("[{'report': 'ready'}]")
