#include <array>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::norm_qkv(const Buffer& hidden, const Vector& norm, const Matrix& wq, const Matrix& wk, const Matrix& wv,
                      Buffer& q, Buffer& k, Buffer& v) {
    auto product = [](const Matrix& w, Buffer& y) {
        const auto& out = static_cast<CpuBuffer&>(y);
        return Product{static_cast<const PackedMatrix&>(w), out.row(0), out.columns()};
    };
    multiply_all(normalised(hidden, norm, all_rows_), std::array{product(wq, q), product(wk, k), product(wv, v)});
}

}  // namespace qwen3::cpu
