// SPDX-License-Identifier: MIT
// How the page is tested: in Debian's Chromium, against mock.mjs or the server at WEIR_URL.
import { defineConfig } from "@playwright/test";

const throttle = Number(process.env.WEIR_THROTTLE ?? 1);

export default defineConfig({
  testDir: ".",
  outputDir: "../../build/web-tests",
  // Bounds for what hangs, and no test's own measure: a machine may be slow. WEIR_THROTTLE=20 makes
  // the browser that many times slower (fixtures.mjs).
  timeout: 120_000 * throttle,
  expect: { timeout: 30_000 * throttle },
  // A browser can fail where the page does not. What fails twice is the page's, and what fails once
  // is told ("flaky").
  retries: 1,
  fullyParallel: true,
  workers: 2,
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium-headless-shell" },
    viewport: { width: 1280, height: 800 },
  },
});
