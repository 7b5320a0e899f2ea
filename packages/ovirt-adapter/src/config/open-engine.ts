/** An engine, as a configuration says how it is reached. @module */
import { readFile } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { Engine } from '../engine/engine.ts'
import type { Exchange } from '../engine/engine.ts'
import type { OvirtConfig } from './ovirt-config.ts'

export interface OpenEngineOptions {
  /** @default the system's */
  readonly clock?: Clock
  /** Told of every exchange where `curl_verbose` asks for it; never of bodies, passwords or tokens. */
  readonly onExchange?: (exchange: Exchange) => void
}

/**
 * Asks nothing of the engine yet. The caller disposes of it.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` or `GRANARY_INVALID_ARGUMENT` when a file of certificates is missing or is none
 */
export const openEngine = async (
  config: OvirtConfig,
  { clock, onExchange }: OpenEngineOptions = {},
): Promise<Engine> => {
  const { caFile, imageioCaFile } = config
  return new Engine({
    url: config.engineUrl,
    username: config.username,
    password: config.password,
    ...(caFile === undefined ? {} : { apiCa: await readCertificates(caFile) }),
    ...(imageioCaFile === undefined ? {} : { imageioCa: await readCertificates(imageioCaFile) }),
    answerTimeoutMs: config.timeoutMs,
    outageTimeoutMs: config.engineOutageMs,
    ...(clock === undefined ? {} : { clock }),
    ...(config.logsRequests && onExchange !== undefined ? { onExchange } : {}),
  })
}

const readCertificates = async (path: string): Promise<string> => {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fromSystemError(error, `reading the certificate ${path}`)
  })
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: expected certificates in PEM`, { detail: { path } })
}
