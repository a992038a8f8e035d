"""What a run looks like: pictures of its DAG, and the page that shows it."""

from __future__ import annotations

from kale_pm.report.ahead import rendering_ahead
from kale_pm.report.dag import as_mermaid, as_svg, as_text
from kale_pm.report.page import write_report

__all__ = ["as_mermaid", "as_svg", "as_text", "rendering_ahead", "write_report"]
