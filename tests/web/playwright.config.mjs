// SPDX-License-Identifier: MIT
// How the page is tested: in Debian's Chromium, against mock.mjs or the server at WEIR_URL.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "../../build/web-tests",
  timeout: 30_000,
  expect: { timeout: 10_000 },
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
