#include <algorithm>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::embed(const Matrix& table, Buffer& hidden) {
    const auto& rows = static_cast<const PackedMatrix&>(table);
    const auto& out = static_cast<CpuBuffer&>(hidden);
    const Range vocab = shape_.shard.vocab;
    pool_.run([&](int thread) {
        const Range mine = share(batch_->ntok(), thread);
        for (int64_t t = mine.begin; t < mine.end; ++t) {
            const int64_t id = batch_->tokens[static_cast<size_t>(t)];
            if (id >= vocab.begin && id < vocab.end)
                rows.read_row(id - vocab.begin, out.row(t));
            else
                std::fill_n(out.row(t), shape_.meta.d, 0.0F);  // another device holds it
        }
    });
}

}  // namespace qwen3::cpu
