import pytest

from kerakit.training.rate import SCHEDULES, falling_rate


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rises_evenly_then_falls_to_a_hundredth(schedule):
    rate = falling_rate(schedule, peak=2.0, steps=1000, warm_up=10)
    assert float(rate(0)) == 0.0
    assert float(rate(5)) == pytest.approx(float(rate(10)) / 2)
    # A power below 1 is steepest at the end: the last step but one is a fifth above it.
    ends = {"constant": 2.0, "polynomial": 0.02 + 1.98 * 0.001**0.9}
    end = ends.get(schedule, 0.02)
    assert float(rate(999)) == pytest.approx(end, rel=0.01)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_a_warm_up_it_begins_at_the_peak(schedule):
    rate = falling_rate(schedule, peak=2.0, steps=1000)
    assert float(rate(0) if callable(rate) else rate) == pytest.approx(2.0)


def test_another_schedule_is_refused():
    with pytest.raises(ValueError, match="`schedule` must be one of cosine, .*, got 'linear'"):
        falling_rate("linear", peak=1.0, steps=10)
