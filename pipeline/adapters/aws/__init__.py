"""Floor 3, adapters for AWS: boto3 behind the ports. No special case for any emulator."""
