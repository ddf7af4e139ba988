"""Room: adapters/local/front. Alarms that are evaluated when they are read.

ministack evaluates an alarm when it is put and on PutMetricData only, whatever its dimensions, and knows nothing of
TreatMissingData: an alarm on a function's own errors would say INSUFFICIENT_DATA for ever. On AWS it is evaluated
every minute.
"""

from __future__ import annotations

import time
from typing import Any

__all__ = ["install_alarm_evaluation"]


def install_alarm_evaluation() -> None:
    """Evaluate every metric alarm of the caller's account and Region before DescribeAlarms answers."""
    from ministack.services import cloudwatch

    original = cloudwatch._describe_alarms

    def describe_alarms(*arguments: Any, **named: Any) -> Any:
        for alarm in list(cloudwatch._alarms.values()):
            if alarm.get("MetricName"):
                _evaluate(cloudwatch, alarm)
        return original(*arguments, **named)

    cloudwatch._describe_alarms = describe_alarms


def _evaluate(cloudwatch: Any, alarm: dict[str, Any]) -> None:
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    oldest = time.time() - alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1)
    points = [point for point in cloudwatch._metrics.get(key) or [] if point["Timestamp"] >= oldest]
    if points:
        # Only this alarm's own points: ministack would take those of every function in the account.
        state = cloudwatch._stat_value(
            cloudwatch._calc_stats(points), alarm.get("Statistic", "Average"), points
        )
        alarm["StateValue"] = "ALARM" if _breaching(state, alarm) else "OK"
        return
    match alarm.get("TreatMissingData") or "missing":
        case "notBreaching":
            alarm["StateValue"] = "OK"
        case "breaching":
            alarm["StateValue"] = "ALARM"
        case "missing":
            alarm["StateValue"] = "INSUFFICIENT_DATA"
        case _:  # "ignore" keeps the state
            return


def _breaching(value: float, alarm: dict[str, Any]) -> bool:
    threshold = float(alarm.get("Threshold", 0))
    match alarm.get("ComparisonOperator"):
        case "GreaterThanThreshold":
            return value > threshold
        case "GreaterThanOrEqualToThreshold":
            return value >= threshold
        case "LessThanThreshold":
            return value < threshold
        case _:
            return value <= threshold
