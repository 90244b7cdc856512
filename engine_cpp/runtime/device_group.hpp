// The devices that share a model: one worker thread each, which run the same step on their shards.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/shared_memory.hpp"
#include "model/transformer.hpp"
#include "qwen3/engine.hpp"
#include "runtime/device_name.hpp"
#include "threads/placement.hpp"
#include "threads/thread_pool.hpp"

namespace qwen3 {

// The threads of all devices.
struct ThreadPlan {
    // At least one thread a device.
    ThreadPlan(int devices, int threads);

    std::vector<CpuList> firsts() const;  // [devices]: of each device's first thread

    Placement cpus;                       // [devices][threads of the device]
    SpinPolicy spin;
};

class DeviceGroup {
public:
    // Starts the workers and loads every shard in parallel; progress is called on this thread. From then on this thread
    // is the first device's first: it alone calls run(), and may be kept to that device's processors. as_stored: see
    // DeviceShape.
    DeviceGroup(const Meta& meta, const Weights& weights, const std::vector<std::string>& devices,
                WeightType weight_type, bool as_stored, DType kv_dtype, int threads, const ProgressFn& progress);
    ~DeviceGroup();

    // Bytes of one KV page over all devices.
    int64_t page_bytes() const;
    void alloc_pages(int64_t pages);

    // One step on every device. logits: [batch.nrows(), dvoc], every device writes its columns. Throws the first
    // failure; the group can run further steps.
    void run(const Batch& batch, std::span<float> logits);

    // Memory for KV pages: the host's, or what all devices have as long as the tightest has any.
    int64_t free_bytes() const;

    std::string_view isa() const { return workers_.front().ops->isa(); }
    std::vector<const Probe*> probes() const;
    std::vector<DeviceCounts> counts() const;
    int64_t weight_bytes() const;
    int64_t weight_bytes_per_step() const;
    int64_t activation_bytes() const;

private:
    struct Worker {  // each part lives on those before it
        std::unique_ptr<Communicator> comm;
        std::unique_ptr<Ops> ops;
        std::unique_ptr<Transformer> transformer;
        std::unique_ptr<KvPages> kv;
        std::unique_ptr<Probe> probe;
    };

    void load(const Meta& meta, const Weights& weights, const std::vector<DeviceName>& devices, WeightType weight_type,
              bool as_stored, DType kv_dtype, const ProgressFn& progress);
    void free_workers();
    // fn(worker, rank) on every worker's thread; the first exception is thrown here.
    void on_all(const std::function<void(Worker&, int64_t)>& fn);

    std::vector<Worker> workers_;
    const ThreadPlan plan_;
    SharedGroup shared_;
    ThreadPool threads_;  // the first one of every device
};

}  // namespace qwen3
