#include "runtime/device_group.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <new>

#include "model/loader.hpp"
#include "model/sharding.hpp"
#include "ops/cpu/cpu_ops.hpp"
#include "ops/cuda_plugin/cuda_ops.hpp"
#include "qwen3/error.hpp"
#include "runtime/machine.hpp"

namespace qwen3 {
namespace {

static_assert(kPageTokens == cpu::kPageTokens);  // what the engine counts is what the kernels lay out

// What makes the Ops of a group's devices, which are of one kind.
class OpsFactory {
public:
    OpsFactory(const std::vector<DeviceName>& devices, const ThreadPlan& plan) : devices_(devices), plan_(plan) {
        if (devices.front().kind == DeviceKind::cpu) return;
        int count = 0;
        try {
            plugin_ = &plugin_of(devices.front().kind);
            count = plugin_->device_count();
        } catch (const DeviceError& error) {
            throw DeviceError("device '" + devices.front().name + "': " + error.what());
        }
        for (const DeviceName& device : devices)
            if (device.index >= count)
                throw DeviceError("device '" + device.name + "' does not exist: " + std::to_string(count) +
                                  " found, counted from 0");
        if (devices.size() > 1) group_ = plugin_->group_id();
    }

    // On the worker's thread, every rank at the same time.
    std::unique_ptr<Ops> make(const DeviceShape& shape, Communicator& comm) const {
        const auto rank = static_cast<size_t>(comm.rank());
        const std::vector<CpuList>& cpus = plan_.cpus[rank];
        const auto threads = static_cast<int>(cpus.size());
        if (!plugin_) return std::make_unique<cpu::CpuOps>(shape, threads, plan_.spin, cpus);
        return std::make_unique<cuda_plugin::CudaOps>(
            *plugin_, shape, cuda_plugin::Seat{devices_[rank].index, group_, comm}, threads, plan_.spin, cpus);
    }

private:
    const std::vector<DeviceName>& devices_;
    const ThreadPlan& plan_;
    const cuda_plugin::Plugin* plugin_ = nullptr;  // of GPUs
    Qwen3CudaGroupId group_{};
};

}  // namespace

ThreadPlan::ThreadPlan(int devices, int threads) {
    const Topology topology = read_topology();
    const int total = std::max(threads, devices);
    cpus = place(topology, devices, total);
    if (total > usable_cpus(topology)) spin = {0, 50};  // a waiting thread gives its core away at once
}

std::vector<CpuList> ThreadPlan::firsts() const {
    std::vector<CpuList> lists;
    for (const std::vector<CpuList>& device : cpus) lists.push_back(device.front());
    return lists;
}

DeviceGroup::DeviceGroup(const Meta& meta, const Weights& weights, const std::vector<std::string>& devices,
                         WeightType weight_type, bool as_stored, DType kv_dtype, int threads,
                         const ProgressFn& progress)
    : workers_(devices.size()),
      plan_(static_cast<int>(devices.size()), threads),
      shared_(static_cast<int64_t>(devices.size()), plan_.spin),
      threads_(static_cast<int>(devices.size()), plan_.spin, plan_.firsts()) {
    keep_to(plan_.cpus.front().front());
    try {
        load(meta, weights, parse_devices(devices), weight_type, as_stored, kv_dtype, progress);
    } catch (...) {
        free_workers();
        throw;
    }
}

DeviceGroup::~DeviceGroup() { free_workers(); }

// Together, as GPUs leave their group.
void DeviceGroup::free_workers() {
    threads_.run([&](int rank) { const Worker gone = std::move(workers_[static_cast<size_t>(rank)]); });
}

void DeviceGroup::load(const Meta& meta, const Weights& weights, const std::vector<DeviceName>& devices,
                       WeightType weight_type, bool as_stored, DType kv_dtype, const ProgressFn& progress) {
    const auto size = static_cast<int64_t>(workers_.size());
    std::vector<DeviceShape> shapes;
    int64_t total = 0;
    for (int64_t rank = 0; rank < size; ++rank) {
        shapes.push_back({meta, shard_of(meta, rank, size), weight_type, kv_dtype, as_stored});
        total += static_cast<int64_t>(shard_source_bytes(meta, weights, shapes.back().shard));
    }
    const OpsFactory factory(devices, plan_);

    std::atomic<int64_t> done{0};
    std::atomic<bool> stopped{false};
    on_all([&](Worker& worker, int64_t rank) {
        const DeviceShape& shape = shapes[static_cast<size_t>(rank)];
        auto loaded = [&](size_t bytes) {
            const int64_t now = done.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
            if (rank == 0 && progress && !progress("repack", now, total)) stopped = true;  // on this thread
            if (stopped) throw Cancelled("loading was cancelled");
        };
        try {
            worker.comm = shared_.communicator(rank);
            worker.ops = factory.make(shape, *worker.comm);
            worker.probe = std::make_unique<Probe>(worker.ops->clock(), meta.nlayer);
            worker.transformer =
                std::make_unique<Transformer>(*worker.ops, shape, load_shard(*worker.ops, shape, weights, loaded));
        } catch (...) {
            stopped = true;
            throw;
        }
    });
    if (progress && !progress("repack", total, total)) throw Cancelled("loading was cancelled");
}

void DeviceGroup::on_all(const std::function<void(Worker&, int64_t)>& fn) {
    std::vector<std::exception_ptr> errors(workers_.size());
    threads_.run([&](int rank) {
        const auto index = static_cast<size_t>(rank);
        try {
            fn(workers_[index], rank);
        } catch (...) {
            errors[index] = std::current_exception();
            shared_.abort();
        }
    });
    // A device that was stopped by another's failure reports Cancelled: the cause is worth more.
    std::exception_ptr cause;
    for (const std::exception_ptr& error : errors) {
        if (!error) continue;
        try {
            std::rethrow_exception(error);
        } catch (const Cancelled&) {
            if (!cause) cause = error;
        } catch (const std::bad_alloc&) {
            cause = std::make_exception_ptr(OutOfMemory("the system has no memory left for a device's buffers"));
            break;
        } catch (...) {
            cause = error;
            break;
        }
    }
    shared_.reset();
    if (cause) std::rethrow_exception(cause);
}

void DeviceGroup::run(const Batch& batch, std::span<float> logits) {
    on_all([&](Worker& worker, int64_t) {
        worker.transformer->forward(batch, *worker.kv, *worker.comm, logits, *worker.probe);
    });
}

int64_t DeviceGroup::page_bytes() const {
    int64_t bytes = 0;
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.ops->page_bytes());
    return bytes;
}

void DeviceGroup::alloc_pages(int64_t pages) {
    on_all([&](Worker& worker, int64_t) { worker.kv = worker.ops->alloc_pages(pages); });
}

int64_t DeviceGroup::free_bytes() const {
    int64_t pages = std::numeric_limits<int64_t>::max();
    for (const Worker& worker : workers_) {
        const std::optional<size_t> bytes = worker.ops->free_bytes();
        if (!bytes) return available_memory();
        pages = std::min(pages, static_cast<int64_t>(*bytes / worker.ops->page_bytes()));
    }
    return pages * page_bytes();
}

std::vector<DeviceCounts> DeviceGroup::counts() const {
    std::vector<DeviceCounts> counts;
    for (const Worker& worker : workers_) counts.push_back(worker.ops->counts());
    return counts;
}

std::vector<const Probe*> DeviceGroup::probes() const {
    std::vector<const Probe*> probes;
    for (const Worker& worker : workers_) probes.push_back(worker.probe.get());
    return probes;
}

int64_t DeviceGroup::weight_bytes() const {
    int64_t bytes = 0;
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.transformer->weights().bytes());
    return bytes;
}

int64_t DeviceGroup::weight_bytes_per_step() const {
    int64_t bytes = 0;
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.transformer->weights().bytes_per_step());
    return bytes;
}

int64_t DeviceGroup::activation_bytes() const {
    int64_t bytes = 0;
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.transformer->activation_bytes());
    return bytes;
}

}  // namespace qwen3
