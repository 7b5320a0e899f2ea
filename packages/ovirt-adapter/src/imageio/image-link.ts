/**
 * The way to one image: over its host, the host's own socket when we are there, or the engine's proxy; with repetition of
 * what breaks, and signs of life while nothing else is asked.
 *
 * @module
 */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { openAddress } from './image-address.ts'
import type { AddressKind, ImageAddress } from './image-address.ts'
import { parseOptions } from './image-features.ts'
import type { ImageFeatures } from './image-features.ts'
import { sendRequest } from './image-request.ts'
import type { ImageAnswer, ImageRequest } from './image-request.ts'
import type { ImageSettings } from './image-settings.ts'

/** Attempts in a row that moved nothing. */
const MOST_ATTEMPTS = 6
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 15_000

/** OPTIONS is answered from memory, by the proxy after it has asked the host: what takes longer hangs. */
const OPTIONS_TIMEOUT_MS = 60_000

/** A request without its address. */
export type LinkRequest = Omit<ImageRequest, 'path'> & {
  /** Behind `/images/TICKET`. @default '' */
  readonly suffix?: string
}

export class ImageLink implements AsyncDisposable {
  readonly settings: ImageSettings
  readonly features: ImageFeatures
  readonly #addresses: readonly ImageAddress[]
  readonly #closing = new AbortController()
  #current: number
  #cancelKeepAlive: (() => void) | undefined
  #closed: Promise<unknown> | undefined

  constructor(
    addresses: readonly ImageAddress[],
    { current, features, settings }: { current: number; features: ImageFeatures; settings: ImageSettings },
  ) {
    this.#addresses = addresses
    this.#current = current
    this.features = features
    this.settings = settings
    this.#keepAliveLater()
  }

  /** Which way requests go now. */
  get way(): AddressKind {
    return this.#address.kind
  }

  /** One attempt. @throws GranaryError */
  async once(request: LinkRequest): Promise<ImageAnswer> {
    const address = this.#address
    try {
      const answer = await sendTo(address, { ...request, signal: this.#signal(request.signal) })
      this.#keepAliveLater()
      return answer
    } catch (error) {
      // The next attempt takes another way, where there is one.
      if (isUnreached(error) && this.#address === address) this.#current = (this.#current + 1) % this.#addresses.length
      throw error
    }
  }

  /**
   * Repeats what broke, waiting longer each time; what will be the same again is thrown at once.
   *
   * @param attempt says what is left to do; gives back whether it moved anything before it failed
   */
  async persist<Result>(
    attempt: () => Promise<Result>,
    { hasMoved = () => false, signal }: AbortOptions & { hasMoved?: () => boolean } = {},
  ): Promise<Result> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt()
      } catch (error) {
        signal?.throwIfAborted()
        if (!isGranaryError(error) || !error.retryable) throw error
        if (hasMoved()) attempts = 1
        if (attempts >= MOST_ATTEMPTS || this.#closing.signal.aborted) throw error
        const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempts - 1))
        await this.settings.clock.sleep(waitMs, this.#signal(signal))
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelKeepAlive?.()
    this.#closing.abort(new GranaryError('GRANARY_ABORTED', 'the image was closed'))
    this.#closed ??= Promise.all(this.#addresses.map(address => address[Symbol.asyncDispose]()))
    await this.#closed
  }

  get #address(): ImageAddress {
    return this.#addresses[this.#current] as ImageAddress
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  /** Listing extents is no activity for the daemon; OPTIONS is. §5.5 */
  #keepAliveLater(): void {
    this.#cancelKeepAlive?.()
    if (this.#closing.signal.aborted) return
    this.#cancelKeepAlive = this.settings.clock.schedule(this.settings.keepAliveMs, () => {
      const request = { method: 'OPTIONS', what: 'keeping the ticket alive' } as const
      // A failure is met again by whoever asks next.
      this.once({ ...request, timeoutMs: this.settings.stallTimeoutMs }).catch(() => this.#keepAliveLater())
    })
  }
}

export interface LinkOptions extends AbortOptions {
  readonly transferUrl: string | undefined
  readonly proxyUrl: string | undefined
  readonly settings: ImageSettings
}

/** Finds the first way that works, and what the image offers. @throws GranaryError as `ImageLink.once` for the last way tried */
export const openLink = async ({ transferUrl, proxyUrl, settings, signal }: LinkOptions): Promise<ImageLink> => {
  const addresses: ImageAddress[] = []
  if (transferUrl !== undefined) addresses.push(openAddress({ url: transferUrl, kind: 'host', settings }))
  if (proxyUrl !== undefined && proxyUrl !== transferUrl)
    addresses.push(openAddress({ url: proxyUrl, kind: 'proxy', settings }))
  try {
    const { current, features } = await firstThatAnswers(addresses, settings, signal)
    const local = await openLocal(addresses[current], { url: transferUrl, features, settings, signal })
    if (local !== undefined) addresses.unshift(local)
    return new ImageLink(addresses, { current: local === undefined ? current : 0, features, settings })
  } catch (error) {
    for (const address of addresses) await address[Symbol.asyncDispose]()
    throw error
  }
}

const firstThatAnswers = async (
  addresses: readonly ImageAddress[],
  settings: ImageSettings,
  signal: AbortSignal | undefined,
): Promise<{ current: number; features: ImageFeatures }> => {
  let last: unknown = noAddress()
  for (const [current, address] of addresses.entries()) {
    try {
      return { current, features: await askFeatures(address, settings, signal) }
    } catch (error) {
      if (!isUnreached(error)) throw error
      last = error
    }
  }
  throw last
}

/** The host's own socket: no TLS, half the work. It must know the ticket, so that it is that host's and nobody else's. */
const openLocal = async (
  host: ImageAddress | undefined,
  {
    url,
    features,
    settings,
    signal,
  }: AbortOptions & { url: string | undefined; features: ImageFeatures; settings: ImageSettings },
): Promise<ImageAddress | undefined> => {
  const { unixSocket } = features
  if (!settings.isLocalAllowed || host?.kind !== 'host' || !host.isThisMachine) return undefined
  if (unixSocket === undefined || url === undefined) return undefined
  const local = openAddress({ url, kind: 'local', socketPath: unixSocket, settings })
  try {
    await askFeatures(local, settings, signal)
    return local
  } catch {
    signal?.throwIfAborted()
    await local[Symbol.asyncDispose]()
    return undefined
  }
}

const askFeatures = async (
  address: ImageAddress,
  { stallTimeoutMs }: ImageSettings,
  signal: AbortSignal | undefined,
): Promise<ImageFeatures> => {
  const request = {
    method: 'OPTIONS',
    what: `OPTIONS by way of the ${address.kind}`,
    timeoutMs: Math.min(stallTimeoutMs, OPTIONS_TIMEOUT_MS),
  } as const
  try {
    return parseOptions(await sendTo(address, { ...request, signal }))
  } catch (error) {
    // Daemons before 1.3 know no OPTIONS. §6.1
    if (isGranaryError(error) && error.detail['status'] === 405)
      return parseOptions({ status: 405, headers: {}, text: '' })
    throw error
  }
}

const sendTo = async (address: ImageAddress, { suffix = '', ...request }: LinkRequest): Promise<ImageAnswer> =>
  await sendRequest(address.pool, { ...request, path: `${address.path}${suffix}` })

const noAddress = (): GranaryError =>
  new GranaryError('GRANARY_PROTOCOL', 'the engine names no address of the image', {
    hint: 'the transfer has no ticket: ask the engine for its phase',
  })

const isUnreached = (error: unknown): boolean => isGranaryError(error) && error.detail['isReached'] === false
