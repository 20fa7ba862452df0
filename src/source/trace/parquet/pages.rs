//! The pages of a column, checked before the decoder sees them for what would make it reserve absurd amounts of memory.

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;

/// Pages whose declared counts fit their bytes. The decoder reserves memory for a count before it looks for the values.
pub(super) struct CheckedPages {
    pages: Box<dyn PageReader>,
    max_level: i16,
}

impl CheckedPages {
    pub(super) fn new(pages: Box<dyn PageReader>, max_level: i16) -> Self {
        Self { pages, max_level }
    }

    fn check(&self, page: &Page) -> Result<(), ParquetError> {
        let bytes: &[u8] = page.buffer();
        let plausible = match page {
            // Every type that has dictionaries takes four bytes a value, or more.
            Page::DictionaryPage { num_values, .. } => *num_values as usize <= bytes.len() / 4,
            Page::DataPage { encoding, num_values, .. } => {
                let levels = if self.max_level == 0 {
                    0
                } else {
                    bytes.first_chunk().map_or(0, |len| (u32::from_le_bytes(*len) as usize).saturating_add(4))
                };
                delta_count_fits(*encoding, bytes.get(levels..), *num_values)
            }
            Page::DataPageV2 { encoding, num_values, def_levels_byte_len, .. } => {
                delta_count_fits(*encoding, bytes.get(*def_levels_byte_len as usize..), *num_values)
            }
        };
        if plausible {
            Ok(())
        } else {
            Err(ParquetError::General("a page declares more values than it has".to_owned()))
        }
    }
}

/// Whether delta-encoded values are not more than the page's. The count is the third number of their header.
fn delta_count_fits(encoding: Encoding, values: Option<&[u8]>, num_values: u32) -> bool {
    if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
        return true;
    }
    let mut values = values.unwrap_or_default().iter();
    let mut var_int = || {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *values.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    };
    let header = (var_int(), var_int(), var_int());
    header.2.is_none_or(|count| count <= u64::from(num_values))
}

impl Iterator for CheckedPages {
    type Item = Result<Page, ParquetError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }
    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }
    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }
}
