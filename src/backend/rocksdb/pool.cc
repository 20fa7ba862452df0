// The block cache and write-buffer manager that Flink's RocksDB databases share. RocksDB's C API can charge a
// write-buffer manager to a cache, and can set a cache's high-priority share, but not both for one cache.

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

struct statebench_pool {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffer_manager;
};

extern "C" {

statebench_pool* statebench_pool_create(size_t cache_bytes, double high_priority_ratio, size_t write_buffer_bytes) {
  // Flink: new LRUCache(capacity, -1, false, highPriorityPoolRatio).
  rocksdb::LRUCacheOptions options(cache_bytes, /*num_shard_bits=*/-1, /*strict_capacity_limit=*/false,
                                   high_priority_ratio);
  auto cache = options.MakeSharedCache();
  if (!cache) return nullptr;
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
