// One thread owns the queue and the devices. Each turn of its loop is one ragged step over all that is alive.
#include "qwen3/engine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <string>
#include <system_error>
#include <thread>

#include "qwen3/error.hpp"
#include "runtime/device_group.hpp"
#include "runtime/device_name.hpp"
#include "runtime/generation_state.hpp"
#include "runtime/machine.hpp"
#include "runtime/page_pool.hpp"
#include "runtime/profiler.hpp"
#include "runtime/progress_relay.hpp"
#include "runtime/request_queue.hpp"
#include "runtime/sampler.hpp"
#include "runtime/scheduler.hpp"
#include "runtime/step_batch.hpp"

namespace qwen3 {
namespace {

using Clock = std::chrono::steady_clock;

WeightType kept_as(const Meta& meta, const EngineOptions& options, const Weights& weights) {
    if (parse_devices(options.devices).front().kind == DeviceKind::cpu)
        return options.weights.value_or(weights.stored_type());
    if (const auto obstacle = gpu_obstacle(meta, options.weights)) throw ConfigError(*obstacle);
    return WeightType::bf16;
}

int64_t ns_since(Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

class EngineImpl final : public Engine, public std::enable_shared_from_this<EngineImpl> {
public:
    EngineImpl(const Meta& meta, const Weights& weights, const EngineOptions& options, const ProgressFn& progress)
        : meta_(meta),
          options_(options),
          context_(options.context ? options.context : meta.dctx),
          threads_(options.threads ? options.threads : default_threads(read_topology())),
          weight_type_(kept_as(meta, options, weights)),
          kv_dtype_(options.kv.value_or(weight_type_ == WeightType::f32 ? DType::f32 : DType::bf16)),
          rope_(meta) {
        try {
            thread_ = std::thread([this] { serve(); });
        } catch (const std::system_error& error) {
            throw DeviceError(std::string("cannot start the engine's thread (") + error.what() +
                              "); use fewer threads");
        }
        // There, because a thread that will work on a device must be the first to touch its part of the weights.
        const auto relay = std::make_shared<ProgressRelay>(progress);
        queue_->post([this, &weights, relay] {
            try {
                load(weights, relay->reports());
                relay->finish();
            } catch (...) {
                relay->finish(std::current_exception());
            }
        });
        try {
            relay->wait();
        } catch (...) {
            close();
            throw;
        }
    }

    ~EngineImpl() override { close(); }

    const Meta& meta() const override { return meta_; }
    const std::vector<std::string>& devices() const override { return options_.devices; }
    WeightType weight_type() const override { return weight_type_; }
    DType kv_dtype() const override { return kv_dtype_; }
    int64_t context() const override { return context_; }
    int threads() const override { return threads_; }
    std::string_view isa() const override { return isa_; }
    std::shared_ptr<KvCache> new_cache() override {
        queue_->require_open();
        return std::make_shared<KvCache>(pool_);
    }

    std::unique_ptr<Generation> generate(GenerationRequest request) override;
    void step(std::span<const StepRequest> requests) override;
    void forward(std::span<const int32_t> ids, float* logits) override;
    int32_t sample(std::span<const float> logits, const SamplingParams& params, std::span<const int32_t> context,
                   int64_t prompt_tokens) const override {
        params.validate();
        if (static_cast<int64_t>(logits.size()) != meta_.dvoc)
            throw ConfigError("a row of " + std::to_string(logits.size()) + " logits; the vocabulary has " +
                              std::to_string(meta_.dvoc) + " ids");
        return Sampler(scan_).draw(logits, params, context, prompt_tokens).id;
    }

    Memory memory() const override {
        const int64_t page = pool_->page_bytes();
        const int64_t used = pool_->used();
        return {.weights = weight_bytes_,
                .weights_per_step = weight_bytes_per_step_,
                .activations = activation_bytes_.load(),
                .kv_used = used * page,
                .kv_budget = pool_->total() * page,
                .kv_pages_used = used,
                .kv_pages_total = pool_->total(),
                .kv_bytes_per_token = page / kPageTokens};
    }
    Profile profile() const override { return profiler_.snapshot(); }
    void reset_profile() override { profiler_.reset(); }

    void close() override {
        queue_->close();
        const std::lock_guard lock(closing_);
        if (thread_.joinable()) thread_.join();
        devices_.reset();
    }

private:
    using State = std::shared_ptr<GenerationState>;

    int64_t kv_budget(int64_t page) const {
        const int64_t contexts = (context_ + kPageTokens - 1) / kPageTokens * page * 4;
        return options_.kv_budget ? options_.kv_budget : std::min(contexts, devices_->free_bytes() / 2);
    }

    void check_ids(std::span<const int32_t> ids) const {
        if (ids.empty()) throw ConfigError("there are no tokens to evaluate");
        for (size_t i = 0; i < ids.size(); ++i)
            if (ids[i] < 0 || ids[i] >= meta_.dvoc)
                throw ConfigError("token " + std::to_string(ids[i]) + " at index " + std::to_string(i) +
                                  " is not in the vocabulary of " + std::to_string(meta_.dvoc));
    }
    void check_cache(const std::shared_ptr<KvCache>& cache) const {
        if (!cache) throw ConfigError("a request has no KV cache");
        if (!cache->belongs_to(*pool_)) throw ConfigError("this KV cache belongs to another engine");
    }
    void check_fits(int64_t tokens) const {
        if (tokens > context_)
            throw ContextOverflow(std::to_string(tokens) + " tokens exceed the context of " + std::to_string(context_) +
                                  "; raise the context or send less");
    }

    // The rest runs on the engine's thread.
    void load(const Weights& weights, const ProgressFn& progress);
    void warm_up(const ProgressFn& progress);
    void on_engine_thread(const std::function<void()>& work);
    void serve();
    void take_arrivals(bool wait);
    bool end_cancelled();
    bool generate_step();
    TokenEvent draw_token(GenerationState& generation, std::span<const float> logits, int64_t step_ns);
    int64_t run(StepBatch& batch, std::span<float> logits);
    void record(const StepBatch& batch, int64_t step_ns, int64_t sample_ns);
    void fail(const State& generation);

    const Meta meta_;
    const EngineOptions options_;
    const int64_t context_;
    const int threads_;
    const WeightType weight_type_;
    const DType kv_dtype_;
    const Rope rope_;
    std::unique_ptr<DeviceGroup> devices_;  // null once closed
    std::string isa_;
    std::shared_ptr<PagePool> pool_;
    int64_t weight_bytes_ = 0;
    int64_t weight_bytes_per_step_ = 0;
    std::atomic<int64_t> activation_bytes_{0};
    Profiler profiler_;
    const std::shared_ptr<RequestQueue> queue_ = std::make_shared<RequestQueue>();

    std::vector<State> live_;
    bool closed_ = false;
    const LogitsScan scan_;
    Sampler sampler_{scan_};
    std::vector<float> logits_;

    std::mutex closing_;
    std::thread thread_;
};

std::unique_ptr<Generation> EngineImpl::generate(GenerationRequest request) {
    check_ids(request.tokens);
    const auto count = static_cast<int64_t>(request.tokens.size());
    if (count >= context_)
        throw ContextOverflow("the prompt has " + std::to_string(count) + " tokens and the context " +
                              std::to_string(context_) + ": no room for a reply; raise the context or send less");
    if (!request.cache) request.cache = new_cache();
    check_cache(request.cache);
    GenerationState::check(request.sampling, meta_.dvoc);
    queue_->require_open();
    CacheLease lease(request.cache);  // the cache changes from here on: what can be refused was refused
    const int64_t reused = lease.keep_prefix(request.tokens, count - 1);  // the last token's logits are needed
    auto state = std::make_shared<GenerationState>(std::move(request.tokens), std::move(lease), reused,
                                                   std::move(request.sampling), meta_.end_tokens, context_, meta_.dvoc,
                                                   request.background, [queue = queue_] { queue->wake(); });
    queue_->post(state);
    return std::make_unique<Generation>(std::move(state), shared_from_this());
}

void EngineImpl::step(std::span<const StepRequest> requests) {
    if (requests.empty()) throw ConfigError("a step needs at least one request");
    std::vector<CacheLease> leases;
    leases.reserve(requests.size());
    for (const StepRequest& request : requests) {
        check_ids(request.tokens);
        check_cache(request.cache);
        leases.emplace_back(request.cache);
        check_fits(request.cache->size() + static_cast<int64_t>(request.tokens.size()));
        if (request.rows != LogitsRows::none && !request.logits)
            throw ConfigError("a request has no room for its logits");
    }
    on_engine_thread([&] {
        StepBatch batch;
        for (const StepRequest& request : requests) batch.add(*request.cache, request.tokens, request.rows);
        std::vector<float> logits(static_cast<size_t>(batch.logit_rows() * meta_.dvoc));
        const int64_t step_ns = run(batch, logits);
        batch.commit();
        record(batch, step_ns, 0);
        const float* from = logits.data();
        for (const StepRequest& request : requests) {
            const size_t rows = request.rows == LogitsRows::all    ? request.tokens.size()
                                : request.rows == LogitsRows::last ? 1
                                                                   : 0;
            std::copy_n(from, rows * static_cast<size_t>(meta_.dvoc), request.logits);
            from += rows * static_cast<size_t>(meta_.dvoc);
        }
    });
}

void EngineImpl::forward(std::span<const int32_t> ids, float* logits) {
    check_ids(ids);
    check_fits(static_cast<int64_t>(ids.size()));
    const auto cache = new_cache();
    const auto chunk = static_cast<size_t>(options_.prefill_chunk);
    for (size_t begin = 0; begin < ids.size(); begin += chunk) {
        const StepRequest request{ids.subspan(begin, std::min(chunk, ids.size() - begin)), cache, LogitsRows::all,
                                  logits + begin * static_cast<size_t>(meta_.dvoc)};
        step(std::span(&request, 1));
    }
}

void EngineImpl::load(const Weights& weights, const ProgressFn& progress) {
    const bool as_stored = !options_.weights && weights.quantized() && is_integer(weight_type_);
    devices_ = std::make_unique<DeviceGroup>(meta_, weights, options_.devices, weight_type_, as_stored, kv_dtype_,
                                             threads_, progress);
    const int64_t page = devices_->page_bytes();
    const int64_t budget = kv_budget(page);
    if (budget < page)
        throw OutOfMemory("a KV budget of " + std::to_string(budget) + " bytes holds no page: " +
                          std::to_string(kPageTokens) + " tokens take " + std::to_string(page) + " bytes");
    const int64_t pages = budget / page;
    if (pages > std::numeric_limits<int32_t>::max())
        throw ConfigError("option kv_budget of " + std::to_string(budget) + " bytes is " + std::to_string(pages) +
                          " pages of " + std::to_string(page) + " bytes; expected fewer than 2^31");
    devices_->alloc_pages(pages);
    pool_ = std::make_shared<PagePool>(pages, page);
    weight_bytes_ = devices_->weight_bytes();
    weight_bytes_per_step_ = devices_->weight_bytes_per_step();
    warm_up(progress);
    isa_ = devices_->isa();  // with what the first step has found out
}

// The first real step then finds threads, buffers and code in place.
void EngineImpl::warm_up(const ProgressFn& progress) {
    if (progress && !progress("warm-up", 0, 1)) throw Cancelled("loading was cancelled");
    const auto cache = new_cache();
    const int32_t token = 0;
    StepBatch batch;
    batch.add(*cache, std::span(&token, 1), LogitsRows::last);
    logits_.resize(static_cast<size_t>(meta_.dvoc));
    run(batch, logits_);
    profiler_.reset();
    if (progress && !progress("warm-up", 1, 1)) throw Cancelled("loading was cancelled");
}

void EngineImpl::on_engine_thread(const std::function<void()>& work) {
    // The job shares the promise: the engine's thread is still inside set_value when the waiting one has returned.
    const auto done = std::make_shared<std::promise<void>>();
    queue_->post([&work, done] {
        try {
            work();
            done->set_value();
        } catch (...) {
            done->set_exception(std::current_exception());
        }
    });
    done->get_future().get();
}

void EngineImpl::serve() {
    for (bool idle = true; !closed_;) {
        try {
            take_arrivals(idle);
            const bool ended = end_cancelled();
            idle = !generate_step() && !ended;
        } catch (...) {  // out of memory for the step's own bookkeeping
            for (const State& generation : live_) fail(generation);
        }
    }
    for (const State& generation : live_)
        if (!generation->ended()) generation->finish(FinishReason::cancelled);
    live_.clear();
}

void EngineImpl::take_arrivals(bool wait) {
    RequestQueue::Arrivals arrivals = queue_->take(wait);
    for (RequestQueue::Job& job : arrivals.jobs) job();
    live_.insert(live_.end(), arrivals.generations.begin(), arrivals.generations.end());
    closed_ = arrivals.closed;
}

bool EngineImpl::end_cancelled() {
    for (const State& generation : live_)
        if (generation->cancelled() && !generation->ended()) generation->finish(FinishReason::cancelled);
    return std::erase_if(live_, [](const State& generation) { return generation->ended(); }) > 0;
}

// False when nothing could run, nor can before something arrives.
bool EngineImpl::generate_step() {
    std::vector<Waiting> waiting;
    for (const State& generation : live_)
        waiting.push_back({generation->pending(), generation->background(), generation->ring_full()});
    const std::vector<int64_t> share = schedule(waiting, options_.prefill_chunk);

    StepBatch batch;
    std::vector<std::pair<State, int64_t>> served;  // with the tokens of this step
    bool failed = false;                            // and made way for those that had no share
    for (size_t i = 0; i < live_.size(); ++i) {
        if (share[i] == 0) continue;
        const bool draws = share[i] == waiting[i].pending;  // the last token it has: the next one is drawn
        try {
            batch.add(live_[i]->cache(), live_[i]->next_tokens(share[i]), draws ? LogitsRows::last : LogitsRows::none);
            served.emplace_back(live_[i], share[i]);
        } catch (const Error&) {
            fail(live_[i]);
            failed = true;
        }
    }
    if (batch.empty()) return failed;

    int64_t step_ns = 0;
    try {
        logits_.resize(static_cast<size_t>(batch.logit_rows() * meta_.dvoc));
        step_ns = run(batch, logits_);
        batch.commit();
    } catch (...) {
        for (const auto& [generation, tokens] : served) fail(generation);
        return true;
    }

    const auto begin = Clock::now();
    std::vector<std::pair<State, TokenEvent>> drawn;
    size_t row = 0;
    for (const auto& [generation, tokens] : served) {
        generation->evaluated(tokens, step_ns);
        if (generation->pending() > 0) continue;
        const auto logits =
            std::span(logits_).subspan(row++ * static_cast<size_t>(meta_.dvoc), static_cast<size_t>(meta_.dvoc));
        try {
            drawn.emplace_back(generation, draw_token(*generation, logits, step_ns));
        } catch (...) {
            fail(generation);
        }
    }
    const int64_t sample_ns = ns_since(begin);
    record(batch, step_ns + sample_ns, sample_ns);
    for (const auto& [generation, event] : drawn) {  // whoever hears of a reply's end finds its last step recorded
        try {
            generation->emit(event);
        } catch (...) {
            fail(generation);
        }
    }
    return true;
}

TokenEvent EngineImpl::draw_token(GenerationState& generation, std::span<const float> logits, int64_t step_ns) {
    const std::optional<int32_t> forced = generation.next_forced();
    const Draw draw = sampler_.draw(logits, generation.sampling(), generation.tokens(), generation.prompt_tokens(),
                                    forced ? &*forced : nullptr);
    return {.id = draw.id,
            .logprob = draw.logprob,
            .index = static_cast<int64_t>(generation.tokens().size()),
            .ns = step_ns,
            .stop = false,
            .top_count = draw.top_count,
            .top = draw.top};
}

int64_t EngineImpl::run(StepBatch& batch, std::span<float> logits) {
    const auto begin = Clock::now();
    devices_->run(batch.view(rope_), logits);
    activation_bytes_ = devices_->activation_bytes();
    return ns_since(begin);
}

void EngineImpl::record(const StepBatch& batch, int64_t step_ns, int64_t sample_ns) {
    profiler_.record({.prefill = batch.prefill(),
                      .tokens = batch.ntok(),
                      .step_ns = step_ns,
                      .sample_ns = sample_ns,
                      .probes = devices_->probes(),
                      .counts = devices_->counts(),
                      .expert_tokens = devices_->expert_tokens()});
}

void EngineImpl::fail(const State& generation) {
    if (!generation->ended()) generation->finish(FinishReason::error, std::current_exception());
}

}  // namespace

std::shared_ptr<Engine> Engine::create(const Meta& meta, const Weights& weights, const EngineOptions& options,
                                       const ProgressFn& progress) {
    meta.validate();
    weights.validate(meta);
    auto require = [](bool ok, const std::string& what) {
        if (!ok) throw ConfigError("option " + what);
    };
    require(options.context >= 0 && options.context <= meta.dctx, "context is " + std::to_string(options.context) +
                                                                      "; this model holds 2 to " +
                                                                      std::to_string(meta.dctx) + " tokens");
    require(options.context != 1, "context is 1; a prompt and a reply need at least 2 tokens");
    require(options.threads >= 0 && options.threads <= 4096,
            "threads is " + std::to_string(options.threads) + "; expected 1 to 4096");
    require(options.kv_budget >= 0, "kv_budget is negative");
    require(options.prefill_chunk > 0, "prefill_chunk must be positive");
    require(options.kv != DType::f16, "kv is f16; the KV cache is stored as f32 or bf16");
    EngineOptions resolved = options;
    if (options.devices == std::vector<std::string>{"auto"})
        resolved.devices = default_devices(meta.nh, options.threads, !gpu_obstacle(meta, options.weights));
    return std::make_shared<EngineImpl>(meta, weights, resolved, progress);
}

}  // namespace qwen3
