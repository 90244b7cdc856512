#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::norm_gate_up_silu(const Buffer& hidden, const Vector& norm, const Matrix& gate, const Matrix& up,
                               Buffer& act) {
    const Activations x = normalised(hidden, norm, all_rows_);
    const auto& out = static_cast<CpuBuffer&>(act);
    const Product gate_product{static_cast<const PackedMatrix&>(gate), out.row(0), out.columns()};
    const Product up_product{static_cast<const PackedMatrix&>(up), up_->row(0), up_->columns()};
    pool_.run([&](int thread) {  // a thread's panels of gate and up meet in the same columns: no barrier between
        const Range panels = share(gate_product.w.panels(), thread);
        multiply(x, gate_product, panels);
        multiply(x, up_product, panels);
        const int64_t begin = std::min(panels.begin * kPanel, out.columns());
        const int64_t end = std::min(panels.end * kPanel, out.columns());
        for (int64_t t = 0; t < x.tokens; ++t) kernels_.silu_mul(out.row(t) + begin, up_->row(t) + begin, end - begin);
    });
}

}  // namespace qwen3::cpu
