// NCCL as its manual describes it: the k-th sum of a rank meets the k-th of all others, in their streams; a rank that
// does not come keeps the others waiting until one of them aborts.
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cuda/emulated/libraries.hpp"
#include "ops/cuda/emulated/stream.hpp"
#include "ops/cuda/host/nccl_abi.hpp"

namespace qwen3::cuda::nccl {
namespace {

constexpr int kInvalidArgument = 4;  // ncclInvalidArgument
constexpr int kInvalidUsage = 5;     // ncclInvalidUsage

struct Contribution {
    const float* send = nullptr;
    float* receive = nullptr;
    size_t count = 0;
};

// One sum in the making.
struct Sum {
    std::vector<Contribution> ranks;
    size_t arrived = 0;
    bool mismatch = false;
};

struct Group {
    explicit Group(int size) : size(static_cast<size_t>(size)) {}

    const size_t size;
    std::mutex mutex;
    std::condition_variable all_here;
    size_t joined = 0;
    bool broken = false;          // a rank has left: no sum is finished any more
    std::map<int64_t, Sum> sums;  // by their number; kept until every rank has seen them
};

std::mutex groups_mutex;
std::map<std::string, std::weak_ptr<Group>>& groups() {
    static std::map<std::string, std::weak_ptr<Group>> all;
    return all;
}

}  // namespace

struct CommStruct {
    std::shared_ptr<Group> group;
    size_t rank;
    int device;
    std::shared_ptr<int64_t> next = std::make_shared<int64_t>(0);  // the number of the rank's next sum
    std::shared_ptr<bool> aborted = std::make_shared<bool>(false);
};

namespace {

const char* error_string(int status) { return status == kInvalidUsage ? "invalid usage" : "invalid argument"; }

int get_unique_id(UniqueId* id) {
    static int64_t made = 0;
    const std::lock_guard lock(groups_mutex);
    *id = {};
    std::memcpy(id->internal, &++made, sizeof(made));
    return kSuccess;
}

int comm_init_rank(Comm* comm, int size, UniqueId id, int rank) {
    if (size < 1 || rank < 0 || rank >= size) return kInvalidArgument;
    std::shared_ptr<Group> group;
    {
        const std::lock_guard lock(groups_mutex);
        std::weak_ptr<Group>& known = groups()[std::string(id.internal, sizeof(id.internal))];
        group = known.lock();
        if (!group) known = group = std::make_shared<Group>(size);
    }
    int device = 0;
    if (group->size != static_cast<size_t>(size) || emulated::current_device(&device) != cudaSuccess)
        return kInvalidUsage;
    std::unique_lock lock(group->mutex);
    ++group->joined;
    group->all_here.notify_all();
    group->all_here.wait(lock, [&] { return group->joined == group->size; });
    *comm = new CommStruct{group, static_cast<size_t>(rank), device};
    return kSuccess;
}

int comm_destroy(Comm comm) {
    delete comm;
    return kSuccess;
}

int comm_abort(Comm comm) {
    {
        const std::lock_guard lock(comm->group->mutex);
        comm->group->broken = true;
        *comm->aborted = true;
    }
    return comm_destroy(comm);
}

// In rank order, by whoever comes last.
void add_up(Sum& sum) {
    const size_t count = sum.ranks.front().count;
    std::vector<float> total(sum.ranks.front().send, sum.ranks.front().send + count);
    for (size_t rank = 1; rank < sum.ranks.size(); ++rank)
        for (size_t i = 0; i < count; ++i) total[i] += sum.ranks[rank].send[i];
    for (const Contribution& rank : sum.ranks) std::memcpy(rank.receive, total.data(), count * sizeof(float));
}

emulated::Progress take_part(Group& group, size_t rank, int64_t& next, const Contribution& mine, int& phase) {
    using emulated::Progress;
    const std::lock_guard lock(group.mutex);
    if (group.broken) return Progress::waiting;
    Sum& sum = group.sums[next];
    if (phase == 0) {
        phase = 1;
        sum.ranks.resize(group.size);
        sum.ranks[rank] = mine;
        ++sum.arrived;
        for (const Contribution& other : sum.ranks)
            if (other.send && other.count != mine.count) sum.mismatch = true;
        if (sum.arrived == group.size && !sum.mismatch && !emulated::dry()) add_up(sum);
    }
    if (sum.mismatch) {
        emulated::describe_failure("ncclAllReduce", "the ranks differ in how much they add");
        return Progress::failed;
    }
    if (sum.arrived < group.size) return Progress::waiting;
    ++next;
    if (++sum.arrived == 2 * group.size) group.sums.erase(next - 1);
    return Progress::done;
}

int all_reduce(const void* send, void* receive, size_t count, int type, int operation, Comm comm, cudaStream_t stream) {
    if (type != kFloat32 || operation != kSum || !send || !receive) return kInvalidArgument;
    if (stream->device != comm->device) return kInvalidUsage;
    const Contribution mine{static_cast<const float*>(send), static_cast<float*>(receive), count};
    emulated::Entry entry{
        [group = comm->group, rank = comm->rank, next = comm->next, aborted = comm->aborted, mine](int& phase) {
            if (!*aborted) return take_part(*group, rank, *next, mine, phase);
            emulated::describe_failure("ncclAllReduce", "the communicator was aborted");
            return emulated::Progress::failed;
        }};
    return emulated::submit(stream, std::move(entry)) == cudaSuccess ? kSuccess : kInvalidUsage;
}

}  // namespace
}  // namespace qwen3::cuda::nccl

void* qwen3::cuda::emulated::nccl_symbol(const char* name) {
    using namespace qwen3::cuda::nccl;
    const std::string_view wanted = name;
    const std::pair<std::string_view, void*> symbols[] = {
        {"ncclGetErrorString", reinterpret_cast<void*>(error_string)},
        {"ncclGetUniqueId", reinterpret_cast<void*>(get_unique_id)},
        {"ncclCommInitRank", reinterpret_cast<void*>(comm_init_rank)},
        {"ncclCommDestroy", reinterpret_cast<void*>(comm_destroy)},
        {"ncclCommAbort", reinterpret_cast<void*>(comm_abort)},
        {"ncclAllReduce", reinterpret_cast<void*>(all_reduce)},
    };
    for (const auto& [symbol, address] : symbols)
        if (symbol == wanted) return address;
    return nullptr;
}
