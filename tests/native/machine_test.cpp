#include "runtime/machine.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "check.hpp"

using namespace qwen3;

namespace {

// A /proc and /sys/fs/cgroup of one's own.
class Machine {
public:
    Machine() : root_(std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/qwen3-machine-XXXXXX") {
        if (!mkdtemp(root_.data())) throw std::runtime_error("no temporary folder");
        put("proc/meminfo", "MemTotal:       9000 kB\nMemFree:   10 kB\nMemAvailable:   8000 kB\nBuffers: 1 kB\n");
    }
    ~Machine() { std::filesystem::remove_all(root_); }
    void put(const std::string& path, const std::string& text) const {
        const std::filesystem::path file = std::filesystem::path(root_) / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    int64_t available() const { return available_memory(root_); }

private:
    std::string root_;
};

}  // namespace

TEST("free memory is what the kernel says can be had", {
    const Machine machine;
    CHECK(machine.available() == 8000 * 1024);
    machine.put("sys/fs/cgroup/memory.max", "max\n");
    machine.put("sys/fs/cgroup/memory.current", "5000\n");
    CHECK(machine.available() == 8000 * 1024);
});

TEST("a control group's limit holds, and cached files do not fill it", {
    const Machine machine;
    machine.put("sys/fs/cgroup/memory.max", "1000000\n");
    machine.put("sys/fs/cgroup/memory.current", "990000\n");
    CHECK(machine.available() == 10000);
    machine.put("sys/fs/cgroup/memory.stat", "anon 90000\nfile 900000\ninactive_file 700000\nactive_file 200000\n");
    CHECK(machine.available() == 910000);
    machine.put("sys/fs/cgroup/memory.current", "2000000\n");
    CHECK(machine.available() == 0);
});

TEST_MAIN()
