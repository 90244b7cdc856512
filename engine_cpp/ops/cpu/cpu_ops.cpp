// Memory, the step's bookkeeping and the projections; one file per verb beside this one.
#include "ops/cpu/cpu_ops.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ops/cpu/convert.hpp"

namespace qwen3::cpu {
namespace {

constexpr int64_t kFewTokens = 2;

template <class Source>
std::vector<float> widen(const TensorView& view) {
    std::vector<float> out(static_cast<size_t>(view.shape.back()));
    for (size_t i = 0; i < out.size(); ++i) out[i] = convert<float>(read<Source>(view.data, static_cast<int64_t>(i)));
    return out;
}

}  // namespace

CpuOps::CpuOps(const DeviceShape& shape, int threads, SpinPolicy policy, const std::vector<CpuList>& cpus)
    : shape_(shape),
      kernels_(select_kernels()),
      pool_(threads, policy, cpus),
      attention_scratch_(static_cast<size_t>(pool_.threads())) {
    const int64_t of_a_head = kQueryBlock * shape.meta.group();
    const int64_t rows = std::max(of_a_head, kFewTokens * shape.shard.query_heads.size());
    for (AttentionScratch& scratch : attention_scratch_) {
        scratch.floats.resize(static_cast<size_t>(attention_scratch(rows, of_a_head, shape.meta.dh)));
        scratch.heads.reserve(static_cast<size_t>(shape.shard.kv_heads.size()));
    }
}

std::unique_ptr<Buffer> CpuOps::alloc(int64_t rows, int64_t columns) {
    return std::make_unique<CpuBuffer>(rows, columns);
}

std::unique_ptr<Matrix> CpuOps::pack(const TensorView& weight, const Slice& slice, WeightType type) {
    return std::make_unique<PackedMatrix>(weight, slice, type, kernels_, pool_);
}

std::unique_ptr<Vector> CpuOps::pack_vector(const TensorView& weight) {
    switch (weight.dtype) {
        case DType::f32: return std::make_unique<CpuVector>(widen<float>(weight));
        case DType::f16: return std::make_unique<CpuVector>(widen<F16>(weight));
        case DType::bf16: return std::make_unique<CpuVector>(widen<Bf16>(weight));
    }
    return nullptr;
}

std::unique_ptr<KvPages> CpuOps::alloc_pages(int64_t pages) { return std::make_unique<CpuKvPages>(shape_, pages); }

void CpuOps::begin_step(const Batch& batch, KvPages& kv) {
    batch_ = &batch;
    kv_ = &static_cast<CpuKvPages&>(kv);
    for (const PageCopy& copy : batch.copies) std::memcpy(kv_->page(copy.to), kv_->page(copy.from), kv_->page_bytes());

    if (is_integer(shape_.weights)) {
        const Shard& shard = shape_.shard;
        quantized_.reserve(batch.ntok(),
                           std::max({shape_.meta.d, shard.query_heads.size() * shape_.meta.dh, shard.mlp.size()}));
    }
    all_rows_.resize(static_cast<size_t>(batch.ntok()));
    std::iota(all_rows_.begin(), all_rows_.end(), 0);
    if (!up_ || normed_->bytes() < static_cast<size_t>(batch.ntok() * shape_.meta.d) * sizeof(float)) {
        up_.reset();  // stays so if an allocation throws
        normed_.reset();
        normed_ = std::make_unique<CpuBuffer>(batch.ntok(), shape_.meta.d);
        up_ = std::make_unique<CpuBuffer>(batch.ntok(), shape_.shard.mlp.size());
    }

    attention_items_.clear();
    size_t pages = 0;
    for (const SequenceSpan& sequence : batch.sequences) pages = std::max(pages, sequence.pages.size());
    for (AttentionScratch& scratch : attention_scratch_) {  // here, where an exception has somewhere to go
        scratch.pages.reserve(pages);
    }
    const int64_t heads = shape_.shard.kv_heads.size();
    for (const SequenceSpan& sequence : batch.sequences) {
        // Few tokens stream keys and values: a thread takes heads that lie side by side. Many compute: a head at a
        // time.
        const int64_t parts = sequence.rows <= kFewTokens ? std::min<int64_t>(heads, pool_.threads()) : heads;
        for (int64_t part = 0; part < parts; ++part)
            for (int64_t row = 0; row < sequence.rows; row += kQueryBlock)
                attention_items_.push_back(
                    {&sequence, row, std::min(kQueryBlock, sequence.rows - row), split(heads, 1, part, parts)});
    }
}

void CpuOps::end_step() { batch_ = nullptr; }

size_t CpuOps::workspace_bytes() const { return (up_ ? normed_->bytes() + up_->bytes() : 0) + quantized_.bytes(); }

void CpuOps::all_reduce_sum(Buffer& hidden, Communicator& comm) {
    const auto& buffer = static_cast<CpuBuffer&>(hidden);
    comm.all_reduce_sum({buffer.row(0), static_cast<size_t>(batch_->ntok() * buffer.columns())});
}

CpuOps::Activations CpuOps::activations(const Buffer& x, int64_t tokens) {
    const auto& from = static_cast<const CpuBuffer&>(x);
    Activations rows{from.row(0), from.columns(), tokens, {}};
    if (!is_integer(shape_.weights)) return rows;
    rows.quantized = quantized_.view(from.columns());
    for_rows(tokens, [&](int64_t i) { quantized_.quantize(kernels_, from.row(i), from.columns(), i); });
    return rows;
}

CpuOps::Activations CpuOps::normalised(const Buffer& hidden, const Vector& norm, std::span<const int32_t> rows) {
    const auto& from = static_cast<const CpuBuffer&>(hidden);
    const float* weight = static_cast<const CpuVector&>(norm).data();
    const int64_t d = shape_.meta.d;
    const bool integer = is_integer(shape_.weights);
    for_rows(static_cast<int64_t>(rows.size()), [&](int64_t i) {
        kernels_.rms_norm(from.row(rows[static_cast<size_t>(i)]), weight, shape_.meta.epsilon, d, normed_->row(i));
        if (integer) quantized_.quantize(kernels_, normed_->row(i), d, i);
    });
    return {normed_->row(0), d, static_cast<int64_t>(rows.size()), quantized_.view(d)};
}

void CpuOps::multiply(const Activations& x, const Product& product, Range panels) const {
    if (panels.size() <= 0 || x.tokens == 0) return;
    const PackedMatrix& w = product.w;
    const MatmulArgs args{
        .x = x.x,
        .ldx = x.ldx,
        .quantized = x.quantized,
        .tokens = x.tokens,
        .panels = w.panel(panels.begin),
        .panel_bytes = w.panel_bytes(),
        .panel_count = panels.size(),
        .k = w.columns(),
        .y = product.y + panels.begin * kPanel,
        .ldy = product.ldy,
        .rows = std::min(panels.end * kPanel, w.rows()) - panels.begin * kPanel,
        .accumulate = product.accumulate,
    };
    switch (w.type()) {
        case WeightType::f32: return kernels_.matmul_f32(args);
        case WeightType::f16: return kernels_.matmul_f16(args);
        case WeightType::bf16: return kernels_.matmul_bf16(args);
        case WeightType::int8: return kernels_.matmul_int8(args);
        case WeightType::int4: return kernels_.matmul_int4(args);
    }
}

void CpuOps::multiply_all(const Activations& x, std::span<const Product> products) {
    pool_.run([&](int thread) {
        for (const Product& product : products) multiply(x, product, share(product.w.panels(), thread));
    });
}

}  // namespace qwen3::cpu
