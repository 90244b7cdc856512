// A device's memory, and how its steps begin and end. The verbs between are in verbs.cpp.
#include "ops/cuda/host/device.hpp"

#include <algorithm>
#include <bit>
#include <thread>

namespace qwen3::cuda {
namespace {

constexpr int32_t kGraphRows = QWEN3_CUDA_GRAPH_ROWS;
static_assert(kMaxHeadDim == QWEN3_CUDA_MAX_HEAD_DIM && kPageTokens == QWEN3_CUDA_PAGE_TOKENS);

Heads heads_of(const Qwen3CudaShape& s) {
    return {.query_heads = static_cast<int32_t>(s.query_heads_end - s.query_heads_begin),
            .kv_heads = static_cast<int32_t>(s.kv_heads_end - s.kv_heads_begin),
            .group = static_cast<int32_t>(s.group),
            .first_in_group = static_cast<int32_t>(s.query_heads_begin - s.group * s.kv_heads_begin),
            .head_dim = static_cast<int32_t>(s.dh)};
}

std::string architecture_of(int ordinal) {
    int major = 0;
    int minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal), "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal), "cudaDeviceGetAttribute");
    if (major < 8)
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR, "GPU " + std::to_string(ordinal) + " has compute capability " +
                                                       std::to_string(major) + "." + std::to_string(minor) +
                                                       "; 8.0 (Ampere) or newer is needed: use --devices cpu:0");
    return "sm_" + std::to_string(major * 10 + minor);
}

}  // namespace

Device::Device(int ordinal, const Qwen3CudaShape& shape) : ordinal_(ordinal), shape_(shape), heads_(heads_of(shape)) {
    if (shape.dh > kMaxHeadDim)
        throw PluginError(QWEN3_CUDA_CONFIG_ERROR, "head_dim is " + std::to_string(shape.dh) +
                                                       "; the CUDA backend takes at most " +
                                                       std::to_string(kMaxHeadDim) + ": use --devices cpu:0");
    use();
    architecture_ = architecture_of(ordinal);
    stream_ = new_stream();
    gemm_ = std::make_unique<Gemm>();
    kv_ = {.data = nullptr,
           .layers = shape.nlayer,
           .kv_heads = heads_.kv_heads,
           .head_dim = shape.dh,
           .type = shape.kv_f32 ? KvType::f32 : KvType::bf16};
    decode_batch_.reserve({.rows = kGraphRows,
                           .sequences = kGraphRows,
                           .logit_rows = kGraphRows,
                           .copies = kGraphRows,
                           .pages = kGraphRows * ((shape.context + kPageTokens - 1) / kPageTokens)},
                          shape.dh);
}

Device::~Device() {
    (void)cudaSetDevice(ordinal_);
    (void)cudaStreamSynchronize(stream_.get());
}

void Device::use() const { check(cudaSetDevice(ordinal_), "cudaSetDevice"); }

void Device::join(const Qwen3CudaGroupId& id, int rank, int size) {
    use();
    nccl_ = std::make_unique<NcclRank>(id, rank, size);
}

size_t Device::free_bytes() const {
    use();
    size_t free = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
}

size_t Device::workspace_bytes() const {
    return decode_batch_.bytes() + ragged_batch_.bytes() + attention_workspace_.bytes() + rounded_.bytes() +
           up_.bytes() + logits_.bytes() + gemm_->workspace_bytes();
}

void* Device::alloc(size_t bytes, const char* what) {
    use();
    return allocate_device(bytes, what);
}

void Device::release(void* memory) {
    (void)cudaSetDevice(ordinal_);
    (void)cudaStreamSynchronize(stream_.get());
    drop_graphs();
    (void)cudaFree(memory);
}

Staging::Buffer Device::staging() {
    use();
    return staging_.next();
}

void Device::upload(void* to, size_t bytes) {
    use();
    staging_.send(to, bytes, stream_.get());
}

void Device::begin_step(const Qwen3CudaBatch& batch, std::byte* pages, bool timed, std::function<bool()> stopped) {
    use();
    settle();
    mode_ = choose(batch, timed);
    reserve(batch);
    stopped_ = std::move(stopped);
    wanted_rows_ = batch.nrows;
    wanted_logits_ = nullptr;
    kv_.data = pages;
    calls_.clear();
    traffic_ = {};
    cache_bytes_ = 0;
    for (int64_t i = 0; i < batch.sequence_count; ++i) {  // the rows are written, and everything up to them is read
        const Qwen3CudaSequence& s = batch.sequences[i];
        cache_bytes_ += (s.first_position + 2 * s.rows) * shape_.nlayer * 2 * kv_columns() * kv_.value_bytes();
    }
    open_ = true;
    BatchUpload& upload = decode_ ? decode_batch_ : ragged_batch_;
    step_.batch = upload.device();
    step_.stream = stream_.get();
    upload.send(batch, stream_.get());
    if (batch.copy_count > 0) {  // before the graph, as few steps have any
        kernels(1, "copy_pages", [step = step_, kv = kv_] { return cuda::copy_pages(step, kv); });
        cache_bytes_ += batch.copy_count * 2 * kv_.page_bytes();
    }
}

// A step that failed may have left kernels in the stream.
void Device::settle() {
    if (nccl_ && nccl_->aborted())
        throw PluginError(QWEN3_CUDA_DEVICE_ERROR,
                          "this group of GPUs broke up when one of them failed; start the program again");
    if (!open_) return;
    open_ = false;
    if (nccl_ && traffic_.collectives() > 0) {  // sums that not every rank has joined
        nccl_->abort();
        settle();
    }
    check(cudaStreamSynchronize(stream_.get()), "a step that was given up");
}

Device::Mode Device::choose(const Qwen3CudaBatch& batch, bool timed) {
    Bucket& bucket = step_.bucket;
    bucket = {.rows = static_cast<int32_t>(batch.ntok),
              .sequences = static_cast<int32_t>(batch.sequence_count),
              .logit_rows = static_cast<int32_t>(batch.nrows),
              .single_rows = false,
              .many_rows = false};
    for (int64_t i = 0; i < batch.sequence_count; ++i)
        (batch.sequences[i].rows == 1 ? bucket.single_rows : bucket.many_rows) = true;
    decode_ = !bucket.many_rows && bucket.rows <= kGraphRows;
    if (!decode_) return Mode::launch;
    bucket.rows = static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(bucket.rows)));
    bucket.sequences = bucket.rows;
    bucket.logit_rows = bucket.rows;
    if (timed || launched_.contains(bucket.rows)) return Mode::launch;
    return graphs_.contains(bucket.rows) ? Mode::replay : Mode::capture;
}

// Whatever a step of this bucket may need, before any of it is queued.
void Device::reserve(const Qwen3CudaBatch& batch) {
    const Bucket& bucket = step_.bucket;
    if (!decode_) ragged_batch_.reserve(BatchCapacity::of(batch), shape_.dh);
    const auto floats = [](int64_t rows, int64_t columns) {
        return static_cast<size_t>(rows * columns) * sizeof(float);
    };
    const char* const what = "activations";
    bool moved = attention_workspace_.reserve(attention_workspace_bytes(bucket, heads_, kv_.type), what);
    const int64_t head_rows = std::min<int64_t>(bucket.logit_rows, kHeadRows);
    moved |= logits_.reserve(floats(head_rows, vocab()), what);
    moved |= host_logits_.reserve(floats(head_rows, vocab()), "logits");
    if (!few_rows() || bucket.logit_rows > kGemvRows) {
        const int64_t widest = std::max({shape_.d, q_columns(), shape_.mlp});
        moved |= rounded_.reserve(static_cast<size_t>(bucket.rows * widest) * sizeof(Bf16), what);
        moved |= up_.reserve(floats(bucket.rows, shape_.mlp), what);
    }
    if (moved) {
        drop_graphs();
        if (mode_ == Mode::replay) mode_ = Mode::capture;
    }
}

void Device::mark(int64_t index) {
    use();
    while (static_cast<int64_t>(marks_.size()) <= index) marks_.push_back(new_event());
    check(cudaEventRecord(marks_[static_cast<size_t>(index)].get(), stream_.get()), "cudaEventRecord");
}

void Device::elapsed(int64_t* ns, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
        const cudaEvent_t end = marks_[static_cast<size_t>(i + 1)].get();
        check(cudaEventSynchronize(end), "cudaEventSynchronize");
        float ms = 0.0F;
        check(cudaEventElapsedTime(&ms, marks_[static_cast<size_t>(i)].get(), end), "cudaEventElapsedTime");
        ns[i] = static_cast<int64_t>(ms * 1e6F);
    }
}

void Device::end_step() {
    use();
    if (mode_ == Mode::capture) capture();
    if (mode_ == Mode::replay) {
        const Captured& captured = graphs_.at(step_.bucket.rows);
        const bool copied = traffic_.launches() > 0;
        traffic_ = captured.traffic;
        if (copied) traffic_.launch();
        check(cudaGraphLaunch(captured.graph.get(), stream_.get()), "cudaGraphLaunch");
    }
    wait();
    open_ = false;
    if (wanted_rows_ > 0) scatter_logits((wanted_rows_ - 1) / kHeadRows * kHeadRows, wanted_rows_);
    counts_ = {.launches = traffic_.launches(),
               .collectives = traffic_.collectives(),
               .bytes = traffic_.bytes() + cache_bytes_,
               .replayed = mode_ == Mode::replay};
}

// Afterwards the graph is there to be replayed, or the step has been launched without one.
void Device::capture() {
    const Traffic before = traffic_;
    const auto call_all = [&] {
        for (const auto& call : calls_) call();
    };
    const char* what = "cudaStreamBeginCapture";
    cudaError_t error = cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal);
    cudaGraph_t graph = nullptr;
    if (error == cudaSuccess) {
        traffic_ = {};
        std::exception_ptr failure;
        try {
            call_all();
        } catch (...) {
            failure = std::current_exception();
        }
        what = "cudaStreamEndCapture";
        error = cudaStreamEndCapture(stream_.get(), &graph);
        if (failure) error = error == cudaSuccess ? cudaErrorStreamCaptureInvalidated : error;
    }
    const Graph owner(graph);
    cudaGraphExec_t exec = nullptr;
    if (error == cudaSuccess) {
        what = "cudaGraphInstantiate";
        error = cudaGraphInstantiate(&exec, graph, 0);
    }
    if (error == cudaSuccess) {
        graphs_[step_.bucket.rows] = {GraphExec(exec), traffic_};
        traffic_ = before;
        mode_ = Mode::replay;
        return;
    }
    (void)cudaGetLastError();
    if (launched_.empty())
        architecture_ += std::string(" without graphs (") + what + ": " + cudaGetErrorString(error) + ")";
    launched_.insert(step_.bucket.rows);
    traffic_ = before;
    mode_ = Mode::launch;
    call_all();
}

// A group's step may wait for a rank that has failed: then this rank leaves, and the group is no more.
void Device::wait() {
    if (!nccl_) return check(cudaStreamSynchronize(stream_.get()), "a step");
    cudaError_t state = cudaSuccess;
    while ((state = cudaStreamQuery(stream_.get())) == cudaErrorNotReady && !stopped_()) std::this_thread::yield();
    if (state == cudaSuccess) return;
    const bool stopped = stopped_();
    nccl_->abort();
    if (stopped) throw PluginError(QWEN3_CUDA_CANCELLED, "another GPU failed during this step");
    check(state, "a step");
}

Qwen3CudaCounts Device::counts() const { return counts_; }

}  // namespace qwen3::cuda
