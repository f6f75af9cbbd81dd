from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest

from ganlet.engine.signals import SIGNALS, stop_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_only_noted(number):
    with stop_on_signals() as request:
        assert request.number == 0
        os.kill(os.getpid(), number)
        assert request.number == number


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)])
def test_the_second_signal_ends_the_process(monkeypatch, first, second):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with stop_on_signals():
        os.kill(os.getpid(), first)
        assert codes == []
        os.kill(os.getpid(), second)
        assert codes == [128 + second]


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_on_signals():
        assert all(signal.getsignal(number) not in before for number in SIGNALS)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with contextlib.suppress(KeyError), stop_on_signals():
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_each_session_starts_without_a_note():
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    with stop_on_signals() as request:
        assert request.number == 0


def test_outside_the_main_thread_signals_are_left_alone():
    before, during = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_on_signals() as request:
            during.extend([signal.getsignal(signal.SIGTERM), request.number])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before, 0]
