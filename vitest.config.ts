import { defineConfig } from 'vitest/config'

// Forks: a crashing addon ends its own process and the report names the file.
export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['test/**/*.test.ts'],
          exclude: ['test/package/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      },
      {
        // Packs, installs and compiles the package: minutes, not seconds.
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000
        }
      }
    ]
  }
})
