// The block cache and write-buffer manager that Flink's RocksDB databases share. RocksDB's C API can charge a
// write-buffer manager to a cache, and can set a cache's high-priority share, but not both for one cache. Nor does it
// let anyone watch what a cache is asked for.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "rocksdb/advanced_cache.h"
#include "rocksdb/cache.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/write_buffer_manager.h"

// The C API's handle, which its header declares and only its source defines: one member, the options.
struct rocksdb_options_t {
  rocksdb::Options rep;
};

namespace ROCKSDB_NAMESPACE {
// What the LRU cache finds a key's shard by (util/hash.h, which is none of the public headers).
uint64_t Hash64(const char* data, size_t n, uint64_t seed);
}  // namespace ROCKSDB_NAMESPACE

// What happened in a cache; the numbers are those of `CacheEvent` in Rust.
enum statebench_event : uint8_t { kHit = 0, kMiss = 1, kInsert = 2, kReserve = 3, kRelease = 4 };

// Who hears of it. The listener may be called from any thread.
struct statebench_listener {
  void* context;
  void (*hear)(void* context, uint64_t key_hash, uint64_t bytes, uint8_t role, bool high_priority, uint8_t event);
  void (*drop)(void* context);
};

// A cache that tells a listener of every lookup and insertion, and of what is charged to it for write buffers.
class WatchedCache final : public rocksdb::CacheWrapper {
 public:
  WatchedCache(std::shared_ptr<rocksdb::Cache> target, statebench_listener listener)
      : CacheWrapper(std::move(target)), listener_(listener) {}
  ~WatchedCache() override {
    target_.reset();
    listener_.drop(listener_.context);
  }

  const char* Name() const override { return target_->Name(); }
  std::string GetPrintableOptions() const override { return target_->GetPrintableOptions(); }

  rocksdb::Status Insert(const rocksdb::Slice& key, ObjectPtr value, const CacheItemHelper* helper, size_t charge,
                         Handle** handle, Priority priority, const rocksdb::Slice& compressed,
                         rocksdb::CompressionType type) override {
    auto event = helper->role == rocksdb::CacheEntryRole::kWriteBuffer ? kReserve : kInsert;
    Tell(key, charge, helper->role, priority, event);
    return target_->Insert(key, value, helper, charge, handle, priority, compressed, type);
  }

  Handle* Lookup(const rocksdb::Slice& key, const CacheItemHelper* helper, CreateContext* context, Priority priority,
                 rocksdb::Statistics* stats) override {
    Handle* handle = target_->Lookup(key, helper, context, priority, stats);
    auto* known = handle != nullptr ? target_->GetCacheItemHelper(handle) : helper;
    auto role = known != nullptr ? known->role : rocksdb::CacheEntryRole::kMisc;
    Tell(key, handle != nullptr ? target_->GetCharge(handle) : 0, role, priority, handle != nullptr ? kHit : kMiss);
    return handle;
  }

  // As in `Cache`, by way of `Lookup`: the wrapper would go past it.
  void StartAsyncLookup(AsyncLookupHandle& handle) override { Cache::StartAsyncLookup(handle); }
  void WaitAll(AsyncLookupHandle* handles, size_t count) override { Cache::WaitAll(handles, count); }

  using CacheWrapper::Release;
  bool Release(Handle* handle, bool erase_if_last_ref) override {
    // Charges of write buffers are always released so, blocks hardly ever.
    if (erase_if_last_ref && target_->GetCacheItemHelper(handle)->role == rocksdb::CacheEntryRole::kWriteBuffer) {
      target_->ApplyToHandle(target_.get(), handle,
                             [this](const rocksdb::Slice& key, ObjectPtr, size_t charge, const CacheItemHelper* helper) {
                               Tell(key, charge, helper->role, Priority::LOW, kRelease);
                             });
    }
    return target_->Release(handle, erase_if_last_ref);
  }

 private:
  void Tell(const rocksdb::Slice& key, size_t bytes, rocksdb::CacheEntryRole role, Priority priority,
            statebench_event event) const {
    uint64_t hash = rocksdb::Hash64(key.data(), key.size(), target_->GetHashSeed());
    listener_.hear(listener_.context, hash, bytes, static_cast<uint8_t>(role), priority == Priority::HIGH, event);
  }

  statebench_listener listener_;
};

struct statebench_pool {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffer_manager;
};

extern "C" {

// With a listener, which is taken over, the cache tells of what it is asked for.
statebench_pool* statebench_pool_create(size_t cache_bytes, double high_priority_ratio, size_t write_buffer_bytes,
                                        const statebench_listener* listener) {
  // Flink: new LRUCache(capacity, -1, false, highPriorityPoolRatio).
  rocksdb::LRUCacheOptions options(cache_bytes, /*num_shard_bits=*/-1, /*strict_capacity_limit=*/false,
                                   high_priority_ratio);
  std::shared_ptr<rocksdb::Cache> cache = options.MakeSharedCache();
  if (!cache) {
    if (listener != nullptr) listener->drop(listener->context);
    return nullptr;
  }
  if (listener != nullptr) cache = std::make_shared<WatchedCache>(std::move(cache), *listener);
  auto manager = std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes, cache, /*allow_stall=*/false);
  return new statebench_pool{cache, manager};
}

void statebench_pool_destroy(statebench_pool* pool) { delete pool; }

// Gives the pool to options that have a block-based table factory; false where they have none.
bool statebench_pool_apply(const statebench_pool* pool, rocksdb_options_t* options) {
  auto* table = options->rep.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
  if (table == nullptr) return false;
  auto changed = *table;
  changed.block_cache = pool->cache;
  options->rep.table_factory.reset(rocksdb::NewBlockBasedTableFactory(changed));
  options->rep.write_buffer_manager = pool->write_buffer_manager;
  return true;
}

size_t statebench_pool_cache_usage(const statebench_pool* pool) { return pool->cache->GetUsage(); }
size_t statebench_pool_cache_pinned(const statebench_pool* pool) { return pool->cache->GetPinnedUsage(); }
size_t statebench_pool_write_buffer_capacity(const statebench_pool* pool) {
  return pool->write_buffer_manager->buffer_size();
}

// Writes the cache's own description of its options, NUL-terminated and cut to `size`.
void statebench_pool_describe(const statebench_pool* pool, char* out, size_t size) {
  std::string text = pool->cache->GetPrintableOptions();
  std::strncpy(out, text.c_str(), size);
  out[size - 1] = '\0';
}
}
