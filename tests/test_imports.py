"""What a process that answers leaves out, and that it is there for whoever asks for it."""

import json
import subprocess
import sys

UNUSED = (
    "datasets", "evaluate", "fastapi", "finetune.training", "gradio", "mcp",
    "matplotlib", "pandas", "pyarrow", "rich.progress", "sacrebleu", "scipy", "sklearn",
    "sqlalchemy", "statsmodels", "sympy", "torch._dynamo", "torch._inductor", "torch.distributed.checkpoint",
    "torch.distributed.fsdp", "torch.distributed.tensor", "transformers.trainer", "uvicorn",
)  # fmt: skip

PREDICT = f"""
import json, sys
import quintet
sys.argv = ["quintet", "predict", "sentiment", "What a warm film!", "--backbone", "mini"]
try:
    quintet.main()
finally:
    print(json.dumps([name for name in {UNUSED!r} if name in sys.modules]))
"""

COMPILE = """
import sys
from core import imports
with imports.to_answer():
    import torch
    from transformers import masking_utils, modeling_utils
    assert sys.modules["torch._dynamo"].disable(len) is len
    assert "torch._dynamo.utils" not in sys.modules
    print(type(masking_utils.TransformGetItemToIndex()).__module__)  # asked for: the real one comes
    print("torch._dynamo.utils" in sys.modules)
double = torch.compile(lambda given: given * 2, backend="eager")
print(double(torch.ones(1)).item(), torch.distributed.is_available())
"""

COLLECTED = """
import gc
from core import imports
with imports.imports_for_good():
    import torch
    before = gc.get_freeze_count()
print(before, gc.get_freeze_count() > 10_000, gc.isenabled())
"""

REST = """
from core import imports
with imports.without_compiler():
    import torch
    import torch._dynamo.config  # a part that no stand-in has
    print(torch._dynamo.config.__name__, torch._dynamo.explain.__module__)
"""


def _run(program: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_predict_imports_nothing_that_no_answer_needs():
    answer, left = _run(PREDICT)
    assert answer.startswith("positive")
    assert json.loads(left) == []


def test_the_compiler_is_there_for_whoever_asks_for_it():
    assert _run(COMPILE) == ["torch._dynamo._trace_wrapped_higher_order_op", "True", "2.0 True"]


def test_any_part_of_the_compiler_brings_all_of_it():
    assert _run(REST) == ["torch._dynamo.config torch._dynamo.eval_frame"]


def test_what_imports_made_is_not_collected():
    assert _run(COLLECTED) == ["0 True True"]
