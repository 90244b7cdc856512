// The verbs of a mixture of experts. Rows are gathered expert by expert, so that each meets all of its tokens at once;
// of the experts that no token chose, nothing is read.
#include <algorithm>
#include <array>
#include <cstring>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {
namespace {

constexpr int64_t kRowsAtOnce = 48;  // of an expert's results, on their way into hidden: whole tiles
constexpr int64_t kReadCost = 3;     // reading a panel takes as long as some tokens' products with it

const PackedMatrix& packed(const std::unique_ptr<Matrix>& matrix) { return static_cast<const PackedMatrix&>(*matrix); }

// The panels among `count`, each of `cost`, whose cost begins within a share of all the cost; the first begins at `at`.
Range panels_within(Range share, int64_t at, int64_t count, int64_t cost) {
    auto first_from = [&](int64_t bound) { return std::clamp<int64_t>((bound - at + cost - 1) / cost, 0, count); };
    return {share.begin <= at ? 0 : first_from(share.begin), share.end <= at ? 0 : first_from(share.end)};
}

}  // namespace

void CpuOps::reserve_experts(int64_t ntok) {
    const Experts& experts = shape_.meta.experts;
    const int64_t pairs = ntok * experts.per_token, di = shape_.shard.experts.size();
    routing_.reserve(ntok, experts.count, experts.per_token);
    const bool integer = is_integer(shape_.weights);
    if (integer) {
        quantized_.reserve(pairs, di);
        expert_quantized_.reserve(pairs, shape_.meta.d);
    }
    if (expert_up_ && router_logits_->bytes() >= static_cast<size_t>(ntok * experts.count) * sizeof(float)) return;
    expert_up_.reset();  // stays so if an allocation throws
    router_logits_ = std::make_unique<CpuBuffer>(ntok, experts.count);
    expert_out_ = std::make_unique<CpuBuffer>(kRowsAtOnce, shape_.meta.d);
    expert_x_ = std::make_unique<CpuBuffer>(integer ? 0 : pairs, shape_.meta.d);
    expert_up_ = std::make_unique<CpuBuffer>(pairs, di);
}

CpuOps::Activations CpuOps::Activations::rows(int64_t first, int64_t count) const {
    Activations some = *this;
    some.tokens = count;
    if (x) some.x += first * ldx;
    if (quantized.values) some.quantized = quantized.from(first);
    return some;
}

void CpuOps::norm_route(const Buffer& hidden, const Vector& norm, const Matrix& router,
                        std::span<int64_t> tokens_of_expert) {
    const Activations x = normalised(hidden, norm, all_rows_);
    const int64_t d = shape_.meta.d;
    multiply_all(x, std::array{Product{static_cast<const PackedMatrix&>(router), router_logits_->row(0),
                                       router_logits_->columns()}});
    for_rows(x.tokens, [&](int64_t token) {
        const std::span logits(router_logits_->row(token), static_cast<size_t>(router_logits_->columns()));
        routing_.choose(token, logits, shape_.meta.experts.normalised);
    });
    routing_.group(x.tokens);
    for (const Routing::Group& group : routing_.groups())
        tokens_of_expert[static_cast<size_t>(group.expert)] += group.pairs;

    const bool integer = is_integer(shape_.weights);
    auto gather = [&](int64_t pair) {
        const int64_t token = routing_.token(pair);
        if (integer)
            expert_quantized_.copy(quantized_, d, token, pair);
        else
            std::memcpy(expert_x_->row(pair), normed_->row(token), static_cast<size_t>(d) * sizeof(float));
    };
    for_rows(routing_.pairs(), gather, shape_.meta.experts.per_token);
}

void CpuOps::experts_gate_up_silu(std::span<const Expert> experts, Buffer& act) {
    const int64_t d = shape_.meta.d;
    const Activations all{expert_x_->row(0), d, routing_.pairs(), expert_quantized_.view(d)};
    const auto& out = static_cast<CpuBuffer&>(act);
    const int64_t panels = packed(experts.front().gate).panels();
    auto cost = [](const Routing::Group& group) { return group.pairs + kReadCost; };
    int64_t total = 0;
    for (const Routing::Group& group : routing_.groups()) total += panels * cost(group);
    pool_.run([&](int thread) {  // every thread takes a run of the chosen experts' panels
        const Range mine = share(total, thread);
        int64_t at = 0;
        for (const Routing::Group& group : routing_.groups()) {
            const Range some = panels_within(mine, at, panels, cost(group));
            at += panels * cost(group);
            if (some.size() <= 0) continue;
            const Expert& expert = experts[static_cast<size_t>(group.expert)];
            const Activations x = all.rows(group.first, group.pairs);
            multiply(x, {packed(expert.gate), out.row(group.first), out.columns()}, some);
            multiply(x, {packed(expert.up), expert_up_->row(group.first), expert_up_->columns()}, some);
            const int64_t begin = some.begin * kPanel, end = std::min(some.end * kPanel, out.columns());
            for (int64_t pair = group.first; pair < group.first + group.pairs; ++pair)
                kernels_.silu_mul(out.row(pair) + begin, expert_up_->row(pair) + begin, end - begin);
        }
    });
}

void CpuOps::experts_down_residual(const Buffer& act, std::span<const Expert> experts, bool residual, Buffer& hidden) {
    const Activations all = activations(act, routing_.pairs(), shape_.meta.experts.per_token);
    const auto& to = static_cast<CpuBuffer&>(hidden);
    const int64_t panels = packed(experts.front().down).panels();
    pool_.run([&](int thread) {  // every thread adds up its columns, expert by expert: in one order for every token
        const Range mine = share(panels, thread);
        const int64_t begin = mine.begin * kPanel, columns = std::min(mine.end * kPanel, to.columns()) - begin;
        if (columns <= 0) return;
        if (!residual)
            for (int64_t token = 0; token < batch_->ntok(); ++token) std::fill_n(to.row(token) + begin, columns, 0.0F);
        for (const Routing::Group& group : routing_.groups()) {
            const PackedMatrix& down = packed(experts[static_cast<size_t>(group.expert)].down);
            const int64_t end = group.first + group.pairs;
            for (int64_t first = group.first; first < end; first += kRowsAtOnce) {
                const int64_t rows = std::min(kRowsAtOnce, end - first);
                multiply(all.rows(first, rows), {down, expert_out_->row(0), expert_out_->columns()}, mine);
                for (int64_t i = 0; i < rows; ++i)
                    kernels_.add_scaled(expert_out_->row(i) + begin, routing_.weight(first + i), columns,
                                        to.row(routing_.token(first + i)) + begin);
            }
        }
    });
}

}  // namespace qwen3::cpu
