"""Progress: a bar on a terminal, few lines elsewhere, and never a reason to stop."""

import io

import pytest

from condswap.progress import Progress


class Clock:
    """Time that passes only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_elsewhere_a_line_comes_every_ten_seconds_and_one_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(100, title="training", stream=stream, clock=clock) as progress:
        for step in range(1, 26):
            clock.now += 1.0
            progress.update(step, f"loss {step}")
    assert stream.getvalue().splitlines() == [
        "training 10% 10/100  1.0/s  1:30 left  loss 10",
        "training 20% 20/100  1.0/s  1:20 left  loss 20",
        "training 25% 25/100  1.0/s  1:15 left  loss 25",
    ]


def test_a_terminal_redraws_one_line_at_most_ten_times_a_second() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(1000, stream=stream, clock=clock) as progress:
        for step in range(1, 1001):
            clock.now += 0.001
            progress.update(step)
    output = stream.getvalue()
    # One second: the first step, one a tenth of a second, and the end.
    assert 10 <= output.count("\r") <= 12
    assert output.count("\n") == 1
    assert output.endswith("\n")
    assert "100% 1000/1000" in output.rsplit("\r", 1)[1]


def test_a_shorter_line_covers_the_longer_one_before_it() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(4, stream=stream, clock=clock) as progress:
        progress.update(1, "a long text" * 4)
        clock.now += 1
        progress.update(4, "x")
    _, first, second = stream.getvalue().split("\r")
    # On screen the second line is written over the first one, from the left.
    shown = (second.rstrip("\n") + first[len(second.rstrip("\n")) :]).rstrip()
    assert shown.endswith("x")
    assert "long" not in shown


def test_a_terminal_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    with Progress(4, stream=stream, clock=Clock()) as progress:
        progress.update(1, "w" * 200)
    assert max(len(line.rstrip("\n")) for line in stream.getvalue().split("\r")) == 39


def test_a_stream_without_unicode_gets_a_plain_bar() -> None:
    stream = Terminal()
    stream.encoding = "cp1252"  # type: ignore[misc]
    with Progress(2, stream=stream, clock=Clock()) as progress:
        progress.update(1)
    assert "##########----------" in stream.getvalue()
    assert stream.getvalue().isascii()


def test_a_text_that_is_a_function_is_called_only_when_a_line_is_drawn() -> None:
    clock, calls = Clock(), []

    def text() -> str:
        calls.append(clock.now)
        return "metrics"

    with Progress(100, stream=io.StringIO(), clock=clock) as progress:
        for step in range(1, 16):
            clock.now += 1.0
            progress.update(step, text)
    assert calls == [110.0, 115.0]


def test_a_resumed_job_counts_its_speed_from_its_start() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(2000, start=1000, stream=stream, clock=clock) as progress:
        clock.now += 10
        progress.update(1100)
    # 100 steps in 10 s; 900 are left.
    assert stream.getvalue() == "55% 1100/2000  10.0/s  1:30 left\n"


def test_a_slow_job_is_told_in_seconds_a_step() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(2000, stream=stream, clock=clock) as progress:
        clock.now += 40
        progress.update(10)
    # 4 s a step, 1990 steps: 7960 s.
    assert stream.getvalue() == "0% 10/2000  4.0 s each  2:12:40 left\n"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_an_exception_ends_the_line_and_calls_nothing(failure: type[BaseException]) -> None:
    clock, stream = Clock(), Terminal()

    def broken() -> str:
        raise ValueError("the device is gone")

    with pytest.raises(failure), Progress(10, stream=stream, clock=clock) as progress:
        progress.update(1, "shown before")
        clock.now += 0.01
        progress.update(2, broken)
        raise failure
    assert stream.getvalue().endswith("\n")
    assert "2/10" in stream.getvalue().rsplit("\r", 1)[1]
    assert "shown before" in stream.getvalue().rsplit("\r", 1)[1]


def test_a_job_shorter_than_its_delay_is_silent() -> None:
    for stream in (io.StringIO(), Terminal()):
        clock = Clock()
        with Progress(2, stream=stream, delay=2.0, clock=clock) as progress:
            clock.now += 1.9
            progress.update(2)
        assert stream.getvalue() == ""


def test_a_job_longer_than_its_delay_is_told() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(2, stream=stream, delay=2.0, clock=clock) as progress:
        clock.now += 2.1
        progress.update(2)
    assert stream.getvalue() == "100% 2/2  1.0 s each  0:02 in all\n"


def test_a_job_without_steps_ends_at_once() -> None:
    stream = io.StringIO()
    with Progress(0, title="reading", stream=stream, clock=Clock()):
        pass
    assert stream.getvalue() == "reading 100% 0/0\n"


def test_a_stream_that_breaks_does_not_stop_the_job() -> None:
    class Broken(io.StringIO):
        def write(self, words: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        with Progress(2, stream=stream, clock=Clock()) as progress:
            progress.update(2)
        assert progress.step == 2


def test_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2, title="reading", clock=Clock()) as progress:
        progress.update(2)
    captured = capsys.readouterr()
    assert captured.err == "reading 100% 2/2\n"
    assert captured.out == ""


def test_what_is_said_stands_above_the_bar() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(4, stream=stream, clock=clock) as progress:
        progress.update(1, "a long text" * 4)
        progress.say("THE LABEL  IS\nIGNORED")
        clock.now += 1
        progress.update(4, "x")
    assert shown(stream.getvalue()) == [
        "THE LABEL IS IGNORED",
        "━━━━━━━━━━━━━━━━━━━━ 100% 4/4  4.0/s  0:01 in all  x",
        "",
    ]


def test_the_bar_comes_back_at_once_after_what_is_said() -> None:
    stream = Terminal()
    with Progress(4, stream=stream, clock=Clock()) as progress:
        progress.update(1, "before")
        progress.say("look")
        said, bar = shown(stream.getvalue())
    assert said == "look"
    assert bar.endswith("25% 1/4  before")


def test_the_last_bar_has_the_last_text_whatever_was_said() -> None:
    stream = Terminal()
    with Progress(4, stream=stream, clock=Clock()) as progress:
        progress.update(1, "old")
        progress.update(4, lambda: "new")
        progress.say("look")
    assert shown(stream.getvalue())[1].endswith("100% 4/4  new")


def test_what_is_said_after_the_end_stands_below_the_bar() -> None:
    stream = Terminal()
    with Progress(2, stream=stream, clock=Clock()) as progress:
        progress.update(2)
    progress.say("that was it")
    assert [line[-7:] for line in shown(stream.getvalue())] == ["00% 2/2", " was it", ""]


def test_a_long_line_is_broken_between_words_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = " ".join(["word"] * 20)
    terminal, plain = Terminal(), io.StringIO()
    for stream in (terminal, plain):
        with Progress(2, stream=stream, clock=Clock()) as progress:
            progress.say(text)
    assert [len(line.split()) for line in shown(terminal.getvalue())[:3]] == [8, 8, 4]  # 8 words and their spaces: 39
    assert plain.getvalue().splitlines()[0] == text


def test_what_is_said_is_a_plain_line_elsewhere() -> None:
    stream = io.StringIO()
    with Progress(2, title="reading", stream=stream, clock=Clock()) as progress:
        progress.say("one cannot be read")
        progress.update(2)
    progress.say("that was it")
    assert stream.getvalue().splitlines() == ["one cannot be read", "reading 100% 2/2", "that was it"]


def test_what_is_said_is_said_of_a_silent_job_too() -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress(2, stream=stream, delay=2.0, clock=Clock()) as progress:
            progress.say("look")
            progress.update(2)
        assert shown(stream.getvalue()) == ["look", ""]


def shown(output: str) -> list[str]:
    """What a terminal shows in the end: a carriage return goes back, and what follows is written over."""
    lines = []
    for line in output.split("\n"):
        row = ""
        for part in line.split("\r"):
            row = part + row[len(part) :]
        lines.append(row.rstrip())
    return lines
