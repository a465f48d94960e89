"""The version of this package: the build, exports and the command line read it from here."""

__version__ = "0.1.0"
