from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest

from ganlet.caller import command_line
from ganlet.engine.signals import NOTICES, SIGNALS, stop_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_only_noted(number):
    with stop_on_signals() as request:
        assert request.number == 0
        os.kill(os.getpid(), number)
        assert request.number == number


URGED = [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)]


@pytest.mark.parametrize(("first", "second"), URGED)
def test_the_second_signal_ends_the_process_of_the_command_line(monkeypatch, first, second):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with command_line(), stop_on_signals():
        os.kill(os.getpid(), first)
        assert codes == []
        os.kill(os.getpid(), second)
        assert codes == [128 + second]


@pytest.mark.parametrize(("first", "second"), URGED)
def test_the_second_signal_is_a_keyboard_interrupt_in_a_program(monkeypatch, first, second):
    monkeypatch.setattr(os, "_exit", pytest.fail)
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_on_signals():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
        assert [signal.getsignal(number) for number in SIGNALS] == before  # a third one finds what the program had


@pytest.mark.parametrize("again", NOTICES)
@pytest.mark.parametrize("first", [signal.SIGTERM, *NOTICES])
def test_notices_that_come_again_do_not_end_what_is_being_saved(monkeypatch, first, again):
    monkeypatch.setattr(os, "_exit", pytest.fail)
    with command_line(), stop_on_signals() as request:
        for number in (first, again, again):
            os.kill(os.getpid(), number)
        assert request.number == first


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_on_signals() as request:
            os.kill(os.getpid(), number)
            assert request.number == 0
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_notice_that_the_program_handles_stays_with_it():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with stop_on_signals() as request:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (heard, request.number) == ([signal.SIGUSR1], 0)
    finally:
        signal.signal(signal.SIGUSR1, before)


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
