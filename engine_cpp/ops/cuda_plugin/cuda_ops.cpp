#include "ops/cuda_plugin/cuda_ops.hpp"

#include <algorithm>

#include "ops/cuda_plugin/device_memory.hpp"
#include "ops/cuda_plugin/event_clock.hpp"
#include "qwen3/engine.hpp"

namespace qwen3::cuda_plugin {

static_assert(kPageTokens == QWEN3_CUDA_PAGE_TOKENS);
static_assert(kLeastRows >= QWEN3_CUDA_GRAPH_ROWS);

namespace {

Qwen3CudaMemory of(const Buffer& buffer) { return static_cast<const CudaBuffer&>(buffer).data(); }
Qwen3CudaMemory of(const Matrix& matrix) { return static_cast<const CudaMatrix&>(matrix).data(); }
Qwen3CudaMemory of(const Vector& vector) { return static_cast<const CudaVector&>(vector).data(); }
Qwen3CudaMemory of(const KvPages& pages) { return static_cast<const CudaKvPages&>(pages).data(); }

Qwen3CudaShape plugin_shape(const DeviceShape& shape) {
    const Meta& meta = shape.meta;
    const Shard& shard = shape.shard;
    return {.nlayer = meta.nlayer,
            .d = meta.d,
            .dh = meta.dh,
            .group = meta.group(),
            .query_heads_begin = shard.query_heads.begin,
            .query_heads_end = shard.query_heads.end,
            .kv_heads_begin = shard.kv_heads.begin,
            .kv_heads_end = shard.kv_heads.end,
            .mlp = shard.mlp.size(),
            .vocab_begin = shard.vocab.begin,
            .vocab_end = shard.vocab.end,
            .dvoc = meta.dvoc,
            .context = meta.dctx,
            .epsilon = meta.epsilon,
            .kv_f32 = shape.kv == DType::f32};
}

Qwen3CudaDevice* open(const Plugin& plugin, int ordinal, const DeviceShape& shape) {
    const Qwen3CudaShape own = plugin_shape(shape);
    Qwen3CudaDevice* device = nullptr;
    plugin.check(plugin->open(ordinal, &own, &device));
    return device;
}

}  // namespace

CudaOps::CudaOps(const Plugin& plugin, const DeviceShape& shape, const Seat& seat, int threads, SpinPolicy policy,
                 const std::vector<CpuList>& cpus)
    : plugin_(plugin),
      shape_(shape),
      comm_(seat.comm),
      device_(open(plugin, seat.ordinal, shape), plugin->close),
      pool_(threads, policy, cpus) {
    if (comm_.size() == 1) return;
    comm_.barrier();  // none waits for one that could not be opened
    plugin_.check(plugin_->join(device_.get(), &seat.group, static_cast<int32_t>(comm_.rank()),
                                static_cast<int32_t>(comm_.size())));
}

std::unique_ptr<Buffer> CudaOps::alloc(int64_t rows, int64_t columns) {
    return std::make_unique<CudaBuffer>(plugin_, device_.get(), static_cast<size_t>(rows * columns) * sizeof(float),
                                        "activations");
}

std::unique_ptr<KvPages> CudaOps::alloc_pages(int64_t pages) {
    return std::make_unique<CudaKvPages>(plugin_, device_.get(), static_cast<size_t>(pages) * page_bytes(),
                                         "the KV cache");
}

std::optional<size_t> CudaOps::free_bytes() const {
    int64_t bytes = 0;
    plugin_.check(plugin_->free_bytes(device_.get(), &bytes));
    return static_cast<size_t>(bytes);
}

void CudaOps::begin_step(const Batch& batch, KvPages& kv) {
    sequences_.clear();
    for (const SequenceSpan& s : batch.sequences)
        sequences_.push_back(
            {s.first_row, s.rows, s.first_position, s.pages.data(), static_cast<int64_t>(s.pages.size())});
    copies_.clear();
    for (const PageCopy& copy : batch.copies) copies_.insert(copies_.end(), {copy.from, copy.to});
    const Qwen3CudaBatch packed{.ntok = batch.ntok(),
                                .nrows = batch.nrows(),
                                .sequence_count = static_cast<int64_t>(sequences_.size()),
                                .copy_count = static_cast<int64_t>(batch.copies.size()),
                                .tokens = batch.tokens.data(),
                                .positions = batch.positions.data(),
                                .logit_rows = batch.logit_rows.data(),
                                .sequences = sequences_.data(),
                                .copies = copies_.data(),
                                .cos = batch.cos.data(),
                                .sin = batch.sin.data()};
    const auto stopped = [](void* comm) -> int32_t { return static_cast<const Communicator*>(comm)->stopped(); };
    plugin_.check(plugin_->begin_step(device_.get(), &packed, of(kv), timed_, stopped, &comm_));
    // A rank that got this far has all it needs; once all have, none is left waiting in a sum for another.
    if (comm_.size() > 1) comm_.barrier();
}

void CudaOps::end_step() { plugin_.check(plugin_->end_step(device_.get())); }

std::unique_ptr<StepClock> CudaOps::clock() { return std::make_unique<EventClock>(*this); }

DeviceCounts CudaOps::counts() const {
    Qwen3CudaCounts counts{};
    plugin_->counts(device_.get(), &counts);
    return {.launches = counts.launches,
            .collectives = counts.collectives,
            .bytes = counts.bytes,
            .replayed = counts.replayed != 0};
}

void CudaOps::embed(const Matrix& table, Buffer& hidden) {
    plugin_.check(plugin_->embed(device_.get(), of(table), of(hidden)));
}

void CudaOps::norm_qkv(const Buffer& hidden, const Vector& norm, const Matrix& wq, const Matrix& wk, const Matrix& wv,
                       Buffer& q, Buffer& k, Buffer& v) {
    plugin_.check(plugin_->norm_qkv(device_.get(), of(hidden), of(norm), of(wq), of(wk), of(wv), of(q), of(k), of(v)));
}

void CudaOps::qk_norm_rope_append(Buffer& q, Buffer& k, const Buffer& v, const Vector& q_norm, const Vector& k_norm,
                                  int64_t layer) {
    plugin_.check(plugin_->qk_norm_rope_append(device_.get(), of(q), of(k), of(v), of(q_norm), of(k_norm), layer));
}

void CudaOps::attention(const Buffer& q, Buffer& out, int64_t layer) {
    plugin_.check(plugin_->attention(device_.get(), of(q), of(out), layer));
}

void CudaOps::o_residual(const Buffer& attn, const Matrix& wo, bool residual, Buffer& hidden) {
    plugin_.check(plugin_->o_residual(device_.get(), of(attn), of(wo), residual, of(hidden)));
}

void CudaOps::norm_gate_up_silu(const Buffer& hidden, const Vector& norm, const Matrix& gate, const Matrix& up,
                                Buffer& act) {
    plugin_.check(plugin_->norm_gate_up_silu(device_.get(), of(hidden), of(norm), of(gate), of(up), of(act)));
}

void CudaOps::down_residual(const Buffer& act, const Matrix& down, bool residual, Buffer& hidden) {
    plugin_.check(plugin_->down_residual(device_.get(), of(act), of(down), residual, of(hidden)));
}

void CudaOps::all_reduce_sum(Buffer& hidden, Communicator& comm) {
    if (comm.size() > 1) plugin_.check(plugin_->all_reduce_sum(device_.get(), of(hidden)));  // in the stream
}

void CudaOps::norm_head(const Buffer& hidden, const Vector& norm, const Matrix& head, std::span<float> logits) {
    plugin_.check(plugin_->norm_head(device_.get(), of(hidden), of(norm), of(head), logits.data()));
}

}  // namespace qwen3::cuda_plugin
