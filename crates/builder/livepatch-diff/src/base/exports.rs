//! `Module.symvers`: which symbol is exported by whom (Documentation/kbuild/modules.rst, "Symbols From the Kernel").

use std::collections::HashMap;

/// An exported symbol.
#[derive(Clone, Debug)]
struct Export {
    crc: Option<u32>,
    exporter: String,
    namespace: String,
}

/// Exported symbols by name.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    by_name: HashMap<String, Export>,
}

impl Exports {
    /// Reads the text of `Module.symvers`: lines of CRC, symbol, exporter, kind and namespace, separated by tabs. Lines
    /// of another shape are passed over.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.split('\t');
            let (crc, symbol, path) = (fields.next()?, fields.next()?, fields.next()?);
            let crc = crc.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let exporter = path.rsplit('/').next()?.replace('-', "_");
            let namespace = fields.nth(1).unwrap_or_default().to_owned();
            (!symbol.is_empty()).then(|| (symbol.to_owned(), Export { crc, exporter, namespace }))
        };
        Self { by_name: text.lines().filter_map(line).collect() }
    }

    /// Who exports the symbol: `vmlinux`, or a module as the kernel names it.
    pub fn exporter(&self, symbol: &str) -> Option<&str> {
        self.by_name.get(symbol).map(|export| export.exporter.as_str())
    }

    /// The symbol's version, by which modules know its types (Documentation/kbuild/modules.rst, "Module Versioning").
    pub fn version(&self, symbol: &str) -> Option<u32> {
        self.by_name.get(symbol)?.crc.filter(|&crc| crc != 0)
    }

    /// The namespace that a user of the symbol must import, if any.
    pub fn namespace(&self, symbol: &str) -> Option<&str> {
        let namespace = self.by_name.get(symbol)?.namespace.as_str();
        (!namespace.is_empty()).then_some(namespace)
    }

    /// How many symbols are exported.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether nothing is exported: then the file was not what it should be.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
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
        assert_eq!((exports.namespace("dev"), exports.namespace("printk")), (Some("NS"), None));
        assert_eq!(exports.version("printk"), Some(0x1234));
        assert_eq!((exports.exporter("rubbish"), exports.len()), (None, 2));
    }
}
