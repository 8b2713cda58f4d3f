"""The rate controller: its rules in Lua, by properties and in short runs of virtual time."""
