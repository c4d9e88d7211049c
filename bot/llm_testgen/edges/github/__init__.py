"""GitHub's API: the only folder that imports PyGithub. What it gives are records of our own."""
