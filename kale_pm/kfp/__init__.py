"""Kubeflow Pipelines: the pipeline as a package that a KFP server runs."""

from __future__ import annotations

from kale_pm.kfp.compiling.compile import CompileResult, compile_pipeline

__all__ = ["CompileResult", "compile_pipeline"]
