// Compiled once per instruction set (see CMakeLists.txt). Nothing here may instantiate an inline function of a library:
// the linker would keep one copy of it for all, compiled for a machine that may not be this one.
#include "ops/cpu/kernels/kernels.hpp"

#include "ops/cpu/kernels/attention.hpp"
#include "ops/cpu/kernels/limits.hpp"
#include "ops/cpu/kernels/matmul.hpp"
#include "ops/cpu/kernels/norm.hpp"
#include "ops/cpu/kernels/quantize.hpp"
#include "ops/cpu/kernels/quantized.hpp"
#include "ops/cpu/kernels/sampling.hpp"

#define QWEN3_STRING_(x) #x
#define QWEN3_STRING(x) QWEN3_STRING_(x)

namespace qwen3::cpu::QWEN3_KERNELS_ISA {

extern const Kernels kKernels;
const Kernels kKernels = {
    .isa = QWEN3_STRING(QWEN3_KERNELS_ISA),
    .rms_norm = rms_norm,
    .norm_rope = norm_rope,
    .silu_mul = silu_mul,
    .add_scaled = add_scaled,
    .matmul_f32 = matmul_float<float>,
    .matmul_f16 = matmul_float<f16>,
    .matmul_bf16 = matmul_float<bf16>,
    .matmul_int8 = matmul_quantized<Int8>,
    .matmul_int4 = matmul_quantized<Int4>,
    .quantize_row = quantize_row,
    .quantize_int8 = quantize_int8,
    .quantize_int4 = quantize_int4,
    .append_f32 = append<float>,
    .append_bf16 = append<bf16>,
    .attention_f32 = attention<float>,
    .attention_bf16 = attention<bf16>,
    .read_all = read_all,
    .multiply_add = multiply_add,
    .multiply_add_int8 = multiply_add_int8,
    .block_maxima = block_maxima,
    .sum_exp = sum_exp,
};

}  // namespace qwen3::cpu::QWEN3_KERNELS_ISA
