/**
 * What of a machine's JSON may be sent to make it again. What an engine only says (status, times, links) is left out: an unknown
 * property makes the whole request fail.
 *
 * @module
 */
import { isJson } from '../engine/json.ts'
import type { Json } from '../engine/json.ts'

/** `true` keeps all of it; a list keeps these of its parts. In the order they are dropped, when the target refuses the whole. */
const KEPT: Readonly<Record<string, true | readonly string[]>> = {
  cpu_pinning_policy: true,
  virtio_scsi_multi_queues: true,
  virtio_scsi_multi_queues_enabled: true,
  multi_queues_enabled: true,
  tpm_enabled: true,
  custom_cpu_model: true,
  custom_emulated_machine: true,
  storage_error_resume_behaviour: true,
  migration_downtime: true,
  migration: ['auto_converge', 'compressed', 'encrypted', 'custom_parallel_migrations'],
  tunnel_migration: true,
  sso: true,
  rng_device: true,
  soundcard_enabled: true,
  console: ['enabled'],
  usb: true,
  io: true,
  serial_number: true,
  start_paused: true,
  cpu_shares: true,
  quota: [], // Of the old engine; a plan puts the new one's in.
  cpu_profile: [],
  placement_policy: ['affinity'],
  display: [
    'type',
    'monitors',
    'smartcard_enabled',
    'keyboard_layout',
    'file_transfer_enabled',
    'copy_paste_enabled',
    'disconnect_action',
  ],
  custom_properties: true,
  time_zone: ['name'],
  custom_compatibility_version: ['major', 'minor'],
  virtio_scsi: ['enabled'],
  bios: ['type', 'boot_menu'],
  memory_policy: ['guaranteed', 'max', 'ballooning'],
  cpu: ['topology', 'cpu_tune', 'mode'],
  type: true,
  comment: true,
  description: true,
  os: ['type', 'boot', 'kernel', 'initrd', 'cmdline', 'custom_kernel_cmdline'],
  memory: true,
}

/** Never dropped: without these it would be another machine. */
const NEEDED = ['memory', 'name', 'cluster', 'template', 'initialization', 'id', 'os', 'description', 'comment']

/** Keeps what may be sent. */
export const machineBody = (vm: Json): Json => {
  const body: Record<string, unknown> = {}
  for (const [name, rule] of Object.entries(KEPT)) {
    const value = vm[name]
    if (value === undefined || value === null) continue
    if (rule === true) body[name] = withoutLinks(value)
    else if (isJson(value)) {
      const parts = rule.flatMap(part =>
        value[part] === undefined ? [] : [[part, withoutLinks(value[part])] as const],
      )
      if (parts.length > 0) body[name] = Object.fromEntries(parts)
    }
  }
  return body
}

/** References keep their ids; what the engine adds to find its way goes. */
const withoutLinks = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutLinks)
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !['href', 'link', 'actions', 'regexp'].includes(name))
      .map(([name, part]) => [name, withoutLinks(part)]),
  )
}

/**
 * What to leave out of a body that the target refused: what its words name, else the least important that is left.
 *
 * @returns the body without it, and its name; undefined when nothing is left that could go
 */
export const dropOne = (body: Json, words: string): { readonly body: Json; readonly name: string } | undefined => {
  const optional = Object.keys(KEPT).filter(name => name in body && !NEEDED.includes(name))
  const named = optional.find(name => isNamedIn(words, name))
  const nested = named === undefined ? nestedIn(body, optional, words) : undefined
  if (nested !== undefined) {
    const { [nested.part]: _, ...rest } = body[nested.name] as Record<string, unknown>
    const { [nested.name]: __, ...others } = body
    return {
      body: Object.keys(rest).length === 0 ? others : { ...others, [nested.name]: rest },
      name: `${nested.name}.${nested.part}`,
    }
  }
  const name = named ?? optional[0]
  if (name === undefined) return undefined
  const { [name]: _, ...rest } = body
  return { body: rest, name }
}

/** Words that a refusal uses without meaning the property of that name: these count only between quotes. */
const COMMON_WORDS = new Set(['type', 'mode', 'name', 'display', 'console', 'comment', 'migration', 'enabled', 'boot'])

const isNamedIn = (words: string, name: string): boolean =>
  words.includes(`"${name}"`) || (!COMMON_WORDS.has(name) && new RegExp(`\\b${name}\\b`, 'i').test(words))

const nestedIn = (
  body: Json,
  optional: readonly string[],
  words: string,
): { readonly name: string; readonly part: string } | undefined => {
  for (const name of optional) {
    const value = body[name]
    if (!isJson(value)) continue
    const part = Object.keys(value).find(key => isNamedIn(words, key))
    if (part !== undefined) return { name, part }
  }
  return undefined
}
