"""Scripts of the SDK that tests of several files write."""

from __future__ import annotations

SMALL = """
from kale_pm.sdk import metric, pipeline, step


@step
def load(n):
    numbers = list(range(n))
    return numbers


@step
def add(numbers):
    total = sum(numbers)
    metric("total", total)
    print(f"the sum is {total}")


@pipeline(name="small", experiment="sums")
def small(n: int = 4):
    add(load(n))


if __name__ == "__main__":
    run = small(n=3)
    print("the script goes on:", run.metrics if run else run)
"""
