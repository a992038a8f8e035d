"""Tensors and modules of torch: shared memory stays shared, with and without a device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

CASES = cases(
    "torch",
    large_tensor=(
        "import torch; v = torch.arange(100_000.0)",
        "assert is_mapped(v.data_ptr()) and v[-1] == 99_999; v[0] = 1",
    ),
    module=(
        """
        import torch
        v = torch.nn.Sequential(torch.nn.Linear(200, 100), torch.nn.BatchNorm1d(100)).eval()
        v[0].weight.requires_grad_(False)
        v.register_buffer("steps", torch.tensor(3))
        v[0].register_forward_hook(lambda module, given, result: result + 1)
        """,
        """
        import torch
        assert not v.training and not v[0].weight.requires_grad and v[0].bias.requires_grad
        assert type(v[0].weight) is torch.nn.Parameter and v.steps == 3
        assert set(v.state_dict()) >= {"steps", "0.weight", "1.running_mean"}
        assert is_mapped(v[0].weight.data_ptr()) and len(v[0]._forward_hooks) == 1
        """,
    ),
    state_of_a_module=(
        """
        import torch
        model = torch.nn.Linear(100, 100)
        v = [model, model.state_dict()]
        """,
        """
        import torch
        with torch.no_grad(): v[0].weight[0, 0] = 42
        assert v[1]["weight"][0, 0] == 42 and list(v[1]) == ["weight", "bias"]
        assert v[1]._metadata[""] == {"version": 1}
        """,
    ),
    shared_memory=(
        """
        import torch
        whole = torch.zeros(200, 100)
        v = [whole, whole[3], whole.t(), whole.view(-1), whole.detach()]
        """,
        """
        v[0][3, 1] = 7
        assert v[1][1] == v[2][1, 3] == v[3][301] == v[4][3, 1] == 7
        assert v[2].stride() == (1, 100)
        """,
    ),
    small_tensors_that_share=(
        """
        import torch
        whole = torch.zeros(6)
        v = [whole, whole[2:4], whole.view(2, 3)]
        """,
        "v[0][3] = 7; assert v[1][1] == v[2][1, 0] == 7",
    ),
    tied_weights=(
        """
        import torch
        class Tied(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.into = torch.nn.Embedding(50, 20)
                self.out = torch.nn.Linear(20, 50)
                self.out.weight = self.into.weight
        v = Tied()
        """,
        "assert v.out.weight is v.into.weight and len(list(v.parameters())) == 2",
    ),
    parameter_over_shared_data=(
        """
        import torch
        data = torch.zeros(50, 50)
        v = [data, torch.nn.Parameter(data), torch.nn.Parameter(data[0], requires_grad=False)]
        """,
        """
        import torch
        v[0][0, 0] = 9
        assert v[1][0, 0] == 9 and v[2][0] == 9 and not v[2].requires_grad
        assert [type(each) for each in v[1:]] == [torch.nn.Parameter] * 2
        """,
    ),
    optimizer_with_its_model=(
        """
        import torch
        model = torch.nn.Linear(30, 30)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        model(torch.ones(1, 30)).sum().backward()
        optimizer.step(); schedule.step()
        v = {"model": model, "optimizer": optimizer, "schedule": schedule}
        """,
        """
        import torch
        model, optimizer = v["model"], v["optimizer"]
        assert v["schedule"].optimizer is optimizer
        assert set(optimizer.state) == set(model.parameters())
        assert optimizer.param_groups[0]["lr"] == 0.05
        assert model.weight.grad is not None and model.weight.grad[0, 0] == 1
        before = model.weight.detach().clone()
        optimizer.step()
        assert not torch.equal(before, model.weight)
        """,
    ),
    gradients=(
        """
        import torch
        leaf = torch.ones(2000, requires_grad=True)
        (leaf * 2).sum().backward()
        v = leaf
        """,
        "assert v.requires_grad and v.is_leaf and v.grad is not None and v.grad[7] == 2",
    ),
    kinds_of_numbers=(
        """
        import torch
        v = [torch.ones(3000, dtype=torch.bfloat16), torch.ones(5, dtype=torch.float8_e4m3fn),
             torch.tensor([1 + 2j]), torch.tensor([True]), torch.ones(2, dtype=torch.half),
             torch.tensor(5), torch.empty(0, 3), torch.tensor([1 + 2j]).conj()]
        """,
        """
        import torch
        kinds = [torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.bool, torch.half]
        assert [each.dtype for each in v[:5]] == kinds and v[0].float().sum() == 3000
        assert v[5].shape == () and v[6].shape == (0, 3) and v[7].resolve_conj()[0] == 1 - 2j
        """,
    ),
    sparse=(
        """
        import torch
        eye = torch.eye(3)
        v = [eye.to_sparse(), eye.to_sparse_csr()]
        """,
        """
        import torch
        assert [each.layout for each in v] == [torch.sparse_coo, torch.sparse_csr]
        assert all(each.to_dense().trace() == 3 for each in v)
        """,
    ),
    quantized=(
        """
        import torch
        v = torch.quantize_per_tensor(torch.tensor([0.5, 1.0]), 0.5, 0, torch.qint8)
        """,
        "assert v.is_quantized and v.dequantize().tolist() == [0.5, 1.0]",
    ),
    expanded=(
        "import torch; v = torch.arange(3).expand(1000, 3)",
        "assert v.stride() == (0, 1) and v[999].tolist() == [0, 1, 2]",
    ),
    part_of_a_large_tensor=(
        """
        import os, torch
        v = torch.zeros(4_000_000)[5:10]
        """,
        """
        import glob, os
        assert v.shape == (5,)
        assert max(os.path.getsize(pack) for pack in glob.glob("*.pack")) < 100_000
        """,
    ),
    tensor_over_an_array=(
        """
        import numpy, torch
        array = numpy.zeros(5000)
        v = [array, torch.from_numpy(array)]
        """,
        "v[0][5] = 8; assert v[1][5] == 8",
    ),
    tensor_class_of_the_notebook=(
        """
        import torch
        class Named(torch.Tensor): pass
        v = torch.ones(3).as_subclass(Named)
        v.title = "mine"
        """,
        "assert type(v).__name__ == 'Named' and v.title == 'mine' and v.sum() == 3",
    ),
    attributes_of_a_tensor=(
        "import torch; v = torch.ones(3); v.title = 'mine'",
        "assert v.title == 'mine' and v.sum() == 3",
    ),
    data_and_generator=(
        """
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        source = torch.Generator().manual_seed(3)
        data = TensorDataset(torch.arange(8.0))
        v = [DataLoader(data, batch_size=4, shuffle=True, generator=source), data, source,
             torch.device("cpu"), torch.float32, torch.Size([2])]
        """,
        """
        import torch
        assert v[0].dataset is v[1] and v[0].generator is v[2]
        assert sorted(torch.cat([part for part, in v[0]]).tolist()) == list(range(8))
        assert v[2].initial_seed() == 3 and v[3:] == [torch.device("cpu"), torch.float32, (2,)]
        """,
    ),
    result_with_a_history=(
        """
        import torch
        leaf = torch.ones(3, requires_grad=True)
        v = {"losses": [(leaf * 2).sum().detach()]}
        """,
        "assert v['losses'][0] == 6",
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)


def test_tensors_of_a_device_share_its_memory_and_come_back_where_there_is_none(
    steps: Callable,
) -> None:
    """The device is made up: tensors say that they are elsewhere when they are stored."""
    pipeline = steps(PRELUDE, "torch")
    pipeline.run(
        """
        import torch
        from kale_pm.runtime.storage.savers import tensors
        whole = torch.arange(6.0)
        v = [whole, whole[2:4].requires_grad_(), whole.view(2, 3)]
        lend = tensors._reduce_memory
        def reduce(tensor):
            is_bytes = tensor.dtype == torch.uint8
            return lend(tensor) if is_bytes else tensors._reduce_on_device(tensor)
        tensors._reduce_memory = reduce
        """,
        gives="v",
    )
    pipeline.run(
        """
        v[0][3] = 7
        assert v[1].tolist() == [2, 7] and v[2].tolist() == [[0, 1, 2], [7, 4, 5]]
        assert v[1].requires_grad and v[0].device.type == "cpu"
        from kale_pm.runtime.storage.savers.tensors import rebuild_storage
        import torch
        missing = rebuild_storage(torch.arange(8, dtype=torch.uint8), "cuda:7")
        assert missing.tolist() == list(range(8)) and missing.device.type == "cpu"
        """,
        needs="v",
    )


def test_tensors_come_back_to_their_gpu(steps: Callable) -> None:
    pipeline = steps("import torch", "torch")
    try:
        pipeline.run("torch.zeros(1, device='cuda')")
    except AssertionError:
        pytest.skip("there is no GPU")
    pipeline.run("v = torch.zeros(5, device='cuda'); v = [v, v[1:]]", gives="v")
    pipeline.run("v[0][1] = 3; assert v[1][0] == 3 and v[0].device.type == 'cuda'", needs="v")


def test_result_of_torch_comes_without_its_history_and_says_so(steps: Callable) -> None:
    pipeline = steps("import torch", "torch")
    pipeline.run("w = torch.ones(3, requires_grad=True); v = [(w * 2).sum(), w]", gives="v")
    assert "does not require grad" in pipeline.fail("v[0].backward()")
    pipeline.run("assert v[0] == 6 and v[1].requires_grad", needs="v")
