/**
 * A package registry on the loopback device that serves what package-lock.json names for run time,
 * packed from node_modules. With it a test can install into a truly empty folder, with an empty
 * cache and no network.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Locked {
  readonly version: string
  readonly dev?: boolean
}

export interface Registry {
  readonly url: string
  /** Paths asked for that were not there. */
  readonly misses: readonly string[]
  close(): Promise<void>
}

export async function startRegistry(root: string): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), 'cria-registry-'))
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const documents = new Map<string, { versions: Record<string, unknown>; latest: string }>()
  const tarballs = new Map<string, Buffer>()
  const misses: string[] = []

  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname)
    const name = path.slice(1)
    const tarball = tarballs.get(path)
    const document = documents.get(name)
    if (tarball) {
      response.end(tarball)
    } else if (document) {
      const { versions, latest } = document
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ name, 'dist-tags': { latest }, versions }))
    } else {
      misses.push(path)
      response.statusCode = 404
      response.end('{}')
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  for (const [place, { dev }] of Object.entries(lock.packages)) {
    if (place === '' || dev) continue
    const manifest = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8'))
    const { name, version } = manifest as { name: string; version: string }
    const path = `/tarballs/${tarballs.size}.tgz`
    const bytes = pack(join(root, place), join(folder, 'package.tgz'))
    tarballs.set(path, bytes)
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    const document = documents.get(name) ?? { versions: {}, latest: version }
    document.versions[version] = { ...manifest, dist: { tarball: `${url}${path}`, integrity } }
    documents.set(name, document)
  }
  rmSync(folder, { recursive: true })

  return {
    url,
    misses,
    close: () => new Promise((resolve) => server.close(() => resolve()))
  }
}

/** A package's folder as npm would carry it, without the packages nested in it. */
function pack(folder: string, file: string): Buffer {
  const options = ['--exclude=./node_modules', '--transform=s,^\\.,package,']
  execFileSync('tar', ['-czf', file, '-C', folder, ...options, '.'])
  return readFileSync(file)
}
