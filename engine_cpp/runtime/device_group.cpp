#include "runtime/device_group.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <new>
#include <set>

#include "model/loader.hpp"
#include "model/sharding.hpp"
#include "ops/cpu/cpu_ops.hpp"
#include "qwen3/error.hpp"
#include "runtime/machine.hpp"

namespace qwen3 {
namespace {

static_assert(kPageTokens == cpu::kPageTokens);  // what the engine counts is what the kernels lay out

const std::vector<std::string>& checked(const std::vector<std::string>& devices) {
    if (devices.empty()) throw DeviceError("no device is named; use for example cpu:0");
    std::set<std::string> seen;
    for (const std::string& name : devices) {
        const size_t colon = name.find(':');
        const std::string kind = name.substr(0, colon);
        const std::string number = colon == std::string::npos ? "" : name.substr(colon + 1);
        int index = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
        if (number.empty() || error != std::errc() || end != number.data() + number.size() || index < 0 ||
            (kind != "cpu" && kind != "cuda"))
            throw DeviceError("device '" + name + "' is not known; a device is cpu:N or cuda:N");
        if (kind == "cuda") throw DeviceError("device '" + name + "': this build has no CUDA backend; use cpu:0");
        if (!seen.insert(name).second) throw DeviceError("device '" + name + "' is named twice");
    }
    return devices;
}

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
    : workers_(checked(devices).size()),
      plan_(static_cast<int>(devices.size()), threads),
      shared_(static_cast<int64_t>(devices.size()), plan_.spin),
      threads_(static_cast<int>(devices.size()), plan_.spin, plan_.firsts()) {
    keep_to(plan_.cpus.front().front());
    const auto size = static_cast<int64_t>(workers_.size());
    std::vector<DeviceShape> shapes;
    int64_t total = 0;
    for (int64_t rank = 0; rank < size; ++rank) {
        shapes.push_back({meta, shard_of(meta, rank, size), weight_type, kv_dtype, as_stored});
        total += static_cast<int64_t>(shard_source_bytes(meta, weights, shapes.back().shard));
    }

    std::atomic<int64_t> done{0};
    std::atomic<bool> stopped{false};
    on_all([&](Worker& worker, int64_t rank) {
        const DeviceShape& shape = shapes[static_cast<size_t>(rank)];
        const std::vector<CpuList>& cpus = plan_.cpus[static_cast<size_t>(rank)];
        worker.ops = std::make_unique<cpu::CpuOps>(shape, static_cast<int>(cpus.size()), plan_.spin, cpus);
        worker.comm = shared_.communicator(rank);
        worker.probe = std::make_unique<Probe>(meta.nlayer);
        auto loaded = [&](size_t bytes) {
            const int64_t now = done.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
            if (rank == 0 && progress && !progress("repack", now, total)) stopped = true;  // on this thread
            if (stopped) throw Cancelled("loading was cancelled");
        };
        try {
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
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.transformer->weight_bytes_per_step());
    return bytes;
}

int64_t DeviceGroup::activation_bytes() const {
    int64_t bytes = 0;
    for (const Worker& worker : workers_) bytes += static_cast<int64_t>(worker.transformer->activation_bytes());
    return bytes;
}

}  // namespace qwen3
