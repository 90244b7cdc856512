"""The inference engine: load a checkpoint, run it on one or several devices, stream replies."""

from qwen3_chat.engine.engine import Engine, Memory, Progress, StepRequest, default_devices, gpu_obstacle, why_no_gpu
from qwen3_chat.engine.errors import (
    Cancelled,
    CheckpointError,
    ConfigError,
    ContextOverflow,
    DeviceError,
    EngineError,
    OutOfMemory,
    Qwen3Error,
)
from qwen3_chat.engine.generation import FinishReason, Generation, GenerationStats, Token
from qwen3_chat.engine.kv_cache import KVCache
from qwen3_chat.engine.limits import MachineLimits, measure_limits, measure_reads
from qwen3_chat.engine.meta import Qwen3Meta
from qwen3_chat.engine.profile import DeviceCounts, Profile
from qwen3_chat.engine.sampling import SamplingParams
from qwen3_chat.engine.weights import HostTensor, QuantizedTensor, Qwen3Weights

__all__ = [
    "Cancelled",
    "CheckpointError",
    "ConfigError",
    "ContextOverflow",
    "DeviceCounts",
    "DeviceError",
    "Engine",
    "EngineError",
    "FinishReason",
    "Generation",
    "GenerationStats",
    "HostTensor",
    "KVCache",
    "MachineLimits",
    "Memory",
    "OutOfMemory",
    "Profile",
    "Progress",
    "QuantizedTensor",
    "Qwen3Error",
    "Qwen3Meta",
    "Qwen3Weights",
    "SamplingParams",
    "StepRequest",
    "Token",
    "default_devices",
    "gpu_obstacle",
    "measure_limits",
    "measure_reads",
    "why_no_gpu",
]
