// The import of a column family from the files of several databases. RocksDB's C API takes those of one only.

#include <cstring>
#include <vector>

#include "rocksdb/db.h"
#include "rocksdb/metadata.h"
#include "rocksdb/options.h"

// The C API's handles, which its header declares and only its source defines.
struct rocksdb_t {
  rocksdb::DB* rep;
};
struct rocksdb_options_t {
  rocksdb::Options rep;
};
struct rocksdb_export_import_files_metadata_t {
  rocksdb::ExportImportFilesMetaData* rep;
};

extern "C" {

// Makes a column family of exported files, which are moved. Returns null, or what went wrong, for `rocksdb_free`.
char* statebench_import_family(rocksdb_t* db, const rocksdb_options_t* options, const char* name,
                               rocksdb_export_import_files_metadata_t* const* exports, size_t count) {
  std::vector<const rocksdb::ExportImportFilesMetaData*> files;
  for (size_t i = 0; i < count; i++) files.push_back(exports[i]->rep);
  rocksdb::ImportColumnFamilyOptions import;
  import.move_files = true;
  rocksdb::ColumnFamilyHandle* family = nullptr;
  auto status = db->rep->CreateColumnFamilyWithImport(rocksdb::ColumnFamilyOptions(options->rep), name, import, files,
                                                      &family);
  if (status.ok()) status = db->rep->DestroyColumnFamilyHandle(family);
  return status.ok() ? nullptr : strdup(status.ToString().c_str());
}
}
