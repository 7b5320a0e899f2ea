/** Options of all commands about engines. @module */
import type { OptionRow } from '../command.ts'

export const OVIRT_OPTIONS: readonly OptionRow[] = [
  {
    flags: '--config <FILE>',
    description: 'rb_module_ovirt.conf, or the same keys as TOML (or GRANARY_OVIRT_CONFIG)',
    values: 'file',
  },
  { flags: '--strict', description: 'unknown keys in the configuration are errors' },
]

/** Which machines. */
export const VM_OPTIONS: readonly OptionRow[] = [
  { flags: '--all', description: "all machines but the engine's own" },
  { flags: '--tag <TAG>', description: 'machines with this tag', isRepeated: true },
  { flags: '--search <TEXT>', description: "machines the engine finds, such as 'cluster=prod and status=up'" },
  { flags: '--exclude <VM>', description: 'leave out this one: name, id, or a name with *', isRepeated: true },
]
