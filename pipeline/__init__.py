"""Tidegate: releases for companies with one AWS account per client."""
