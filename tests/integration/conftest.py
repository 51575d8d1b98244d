"""A broker with HTTP, shared by a module's tests, and a browser's side of it. Modules whose broker needs settings of its own have their own
`served`."""

import pytest

from harness.http import Http, port_of


@pytest.fixture(scope="module")
def served(module_brokers):
    return module_brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})


@pytest.fixture
def web(served):
    return Http(port_of(served))
