//! `Module.symvers`: which symbol is exported by whom (Documentation/kbuild/modules.rst, "Symbols From the Kernel").

use std::collections::HashMap;

/// Exported symbols by name, with the exporter: `vmlinux`, or a module as the kernel names it.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    exporter: HashMap<String, String>,
}

impl Exports {
    /// Reads the text of `Module.symvers`: lines of CRC, symbol, exporter, kind and namespace, separated by tabs. Lines
    /// of another shape are passed over.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.split('\t').skip(1);
            let (symbol, path) = (fields.next()?, fields.next()?);
            let module = path.rsplit('/').next()?.replace('-', "_");
            (!symbol.is_empty()).then(|| (symbol.to_owned(), module))
        };
        Self { exporter: text.lines().filter_map(line).collect() }
    }

    /// Who exports the symbol.
    pub fn exporter(&self, symbol: &str) -> Option<&str> {
        self.exporter.get(symbol).map(String::as_str)
    }

    /// How many symbols are exported.
    pub fn len(&self) -> usize {
        self.exporter.len()
    }

    /// Whether nothing is exported: then the file was not what it should be.
    pub fn is_empty(&self) -> bool {
        self.exporter.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_are_module_names() {
        let text = "0x1234\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x5\tdev\tdrivers/snd-pcm\tEXPORT_SYMBOL_GPL\tNS\nrubbish\n";
        let exports = Exports::parse(text);
        assert_eq!(exports.exporter("printk"), Some("vmlinux"));
        assert_eq!(exports.exporter("dev"), Some("snd_pcm"));
        assert_eq!((exports.exporter("rubbish"), exports.len()), (None, 2));
    }
}
