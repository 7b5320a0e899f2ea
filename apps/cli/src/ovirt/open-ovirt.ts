/** Opens what commands about engines work with: configuration, engine, journal. @module */
import { GranaryError } from '@granary/core'
import type * as Adapter from '@granary/ovirt-adapter'
import type { Engine, Journal, OvirtConfig } from '@granary/ovirt-adapter'
import { isGiven, textOption } from '../command.ts'
import type { Invocation } from '../command.ts'
import { resolveSecretFor } from './resolve-secret.ts'

/** Loaded when a command needs it: an HTTP client takes a moment. */
export const loadAdapter = async (): Promise<typeof Adapter> => await import('@granary/ovirt-adapter')

/** Reads the configuration; what is odd in it is told. */
export const readConfigOf = async (invocation: Invocation): Promise<OvirtConfig> => {
  const { terminal, signal } = invocation
  const fromEnvironment = terminal.streams.env['GRANARY_OVIRT_CONFIG']
  const path = textOption(invocation, 'config') ?? (fromEnvironment === '' ? undefined : fromEnvironment)
  if (path === undefined) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'no configuration of an engine was given', {
      hint: 'give --config FILE, or set GRANARY_OVIRT_CONFIG; docs/ovirt-configuration.md has the keys',
    })
  }
  const { readOvirtConfig } = await loadAdapter()
  const { config, warnings } = await readOvirtConfig(path, {
    isStrict: isGiven(invocation, 'strict'),
    resolveSecret: resolveSecretFor(terminal),
    signal,
  })
  for (const warning of warnings) terminal.notice(warning)
  return config
}

/** The caller disposes of it. */
export const openEngineOf = async ({ terminal }: Invocation, config: OvirtConfig): Promise<Engine> => {
  const { openEngine } = await loadAdapter()
  return await openEngine(config, {
    onExchange: ({ method, path, status, durationMs }) =>
      void terminal.streams.stderr.write(`${method} ${path} ${status ?? 'no answer'} ${Math.round(durationMs)} ms\n`),
  })
}

/** The caller disposes of it. */
export const openJournalOf = async (config: OvirtConfig): Promise<Journal> => {
  const { Journal } = await loadAdapter()
  const { journalFolder: folder, installationId } = config
  return await Journal.open({ folder, ...(installationId === undefined ? {} : { installation: installationId }) })
}

/** How often an idle transfer shows that it lives: well within its inactivity timeout, which may be 5 s. */
export const keepAliveMs = ({ transferInactivitySeconds }: OvirtConfig): number =>
  Math.floor((transferInactivitySeconds * 1000) / 3)
